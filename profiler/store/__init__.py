"""Measurements on disk: one file each, found again by everything that they depend on."""

from profiler.store.files import FileStore
from profiler.store.keys import Key, Record, Store, point_key, start_key, transfer_key
from profiler.store.memory import MemoryStore

__all__ = ["FileStore", "Key", "MemoryStore", "Record", "Store", "point_key",
           "start_key", "transfer_key"]  # fmt: skip
