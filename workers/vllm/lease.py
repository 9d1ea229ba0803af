"""Ends the lease of KV that nobody fetches, in vLLM's own workers: it has no call for that.

Until then the engine that holds it looks for whoever fetches it a thousand times a second.
Written for vLLM 0.32.0; given to it as the extension of its workers.
"""

EXTENSION = "workers.vllm.lease.Lease"
METHOD = "end_kv_lease"


class Lease:
    """What vLLM's workers can do in addition."""

    def end_kv_lease(self, request_id: str) -> None:
        """Let go of what *request_id*, as vLLM calls it, left for others; nothing is fine."""
        from vllm.distributed.kv_transfer import get_kv_transfer_group

        held = get_kv_transfer_group().connector_worker._reqs_to_send  # noqa: SLF001 - see above
        if request_id in held:
            held[request_id] = 0.0
