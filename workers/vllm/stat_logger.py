"""vLLM's statistics, which it calls unstable: what this worker reads of them is named here alone.

Read in vLLM 0.32.0.
"""

from collections.abc import Callable
from typing import Any

from vllm.v1.metrics.loggers import StatLoggerBase

from workers.vllm.totals import Report

Record = Callable[[Report], None]


def logger_class(record: Record) -> type[StatLoggerBase]:
    """Return a class that vLLM makes one instance of for each engine; all tell *record*."""

    class Logger(StatLoggerBase):  # type: ignore[misc]
        """Hands each step's statistics on."""

        def __init__(self, _config: object, engine_index: int = 0) -> None:
            self._rank = engine_index

        def record(
            self,
            scheduler_stats: Any = None,
            iteration_stats: Any = None,
            mm_cache_stats: object = None,  # noqa: ARG002 - vLLM names its arguments
            engine_idx: int = 0,
        ) -> None:
            record(report(scheduler_stats, iteration_stats, rank=engine_idx))

        def log_engine_initialized(self) -> None:
            """Nothing to tell: the capacity is read from the engine."""

    return Logger


def report(scheduler: Any, iteration: Any, *, rank: int) -> Report:
    """Return what the two objects of one step say; either may be None."""
    return Report(rank=rank, **_scheduled(scheduler), **_produced(iteration))


def _scheduled(stats: Any) -> dict[str, Any]:
    if stats is None:
        return {}
    told: dict[str, Any] = {
        "running": stats.num_running_reqs,
        "waiting": stats.num_waiting_reqs + stats.num_skipped_waiting_reqs,
        "kv_usage": stats.kv_cache_usage,
    }
    details = stats.iteration_details
    if details is not None and not details.is_dummy:
        told |= {
            "prefilling": details.num_ctx_requests,
            "prefilling_tokens": details.num_ctx_tokens,
        }
    return told | _transferred(stats.kv_connector_stats or {})


def _transferred(stats: dict[str, list[float]]) -> dict[str, int]:
    """Return the transfers of a step; both kinds of failure end in a prefill here."""
    sizes = stats.get("bytes_transferred", [])
    failed = stats.get("num_failed_transfers", []), stats.get("num_failed_handshakes", [])
    return {
        "transfers": len(sizes),
        "transferred_bytes": int(sum(sizes)),
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
