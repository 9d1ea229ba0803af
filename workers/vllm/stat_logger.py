"""Where vLLM reports each step of its engines to."""

from collections.abc import Callable
from typing import Any

from vllm.v1.metrics.loggers import PrometheusStatLogger

from workers.vllm.reports import report
from workers.vllm.totals import Report

Record = Callable[[Report], None]


def logger_class(record: Record) -> type[PrometheusStatLogger]:
    """Return the class of what vLLM tells of all its engines; it tells *record*.

    It stands where vLLM would put series for a page of its own, which nobody could ask for.
    """

    class Logger(PrometheusStatLogger):  # type: ignore[misc]
        """Hands each step's statistics on, and keeps nothing."""

        def __init__(self, vllm_config: object, engine_indexes: object) -> None:
            """Make none of the series."""

        def record(
            self,
            scheduler_stats: Any = None,
            iteration_stats: Any = None,
            mm_cache_stats: object = None,  # noqa: ARG002 - vLLM names its arguments
            engine_idx: int = 0,
        ) -> None:
            record(report(scheduler_stats, iteration_stats, rank=engine_idx))

        def record_sleep_state(self, sleep: int = 0, level: int = 0) -> None:
            """Nothing to tell: the worker put it to sleep."""

        def record_admission_rejection(self, reason: str) -> None:
            """Nothing to tell: frontends and queues hold requests back."""

        def log_engine_initialized(self) -> None:
            """Nothing to tell: the capacity is read from the engine."""

    return Logger
