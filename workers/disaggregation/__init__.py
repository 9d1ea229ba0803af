"""Prefill and decode on different workers: the same for every engine."""
