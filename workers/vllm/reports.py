"""vLLM's statistics, which it calls unstable: what is read of them is named here alone.

Read in vLLM 0.32.0; the objects are taken as they are, so vLLM is not imported.
"""

from typing import Any

from workers.vllm.totals import Report


def report(scheduler: Any, iteration: Any, *, rank: int) -> Report:
    """Return what the two objects of one step say; either may be None."""
    return Report(rank=rank, **_scheduled(scheduler), **_produced(iteration))


def _scheduled(stats: Any) -> dict[str, Any]:
    if stats is None:
        return {}
    told: dict[str, Any] = {
        "running": stats.num_running_reqs,
        "waiting": stats.num_waiting_reqs + stats.num_skipped_waiting_reqs,
        "without_room": stats.num_waiting_reqs,
        "kv_usage": stats.kv_cache_usage,
    }
    details = stats.iteration_details
    if details is not None and not details.is_dummy:
        told |= {
            "prefilling": details.num_ctx_requests,
            "prefilling_tokens": details.num_ctx_tokens,
        }
    return told | _transferred(stats.kv_connector_stats or {})


def _transferred(stats: dict[str, list[float]]) -> dict[str, float]:
    """Return the transfers of a step; both kinds of failure end in a prefill here."""
    sizes = stats.get("bytes_transferred", [])
    failed = stats.get("num_failed_transfers", []), stats.get("num_failed_handshakes", [])
    return {
        "transfers": len(sizes),
        "transferred_bytes": int(sum(sizes)),
        "transfer_seconds": sum(stats.get("transfer_duration", [])),
        "failed_transfers": sum(int(sum(each)) for each in failed),
    }


def _produced(stats: Any) -> dict[str, int]:
    if stats is None:
        return {}
    prompts = stats.prompt_token_stats
    return {
        "prompt_tokens": prompts.total,
        "cached_tokens": prompts.local_cache_hit,
        "received_tokens": prompts.external_kv_transfer,
        "generated_tokens": stats.num_generation_tokens,
        "preemptions": stats.num_preempted_reqs,
    }
