"""Where vLLM reports each step to: the class that it makes one instance of for each engine."""

from collections.abc import Callable
from typing import Any

from vllm.v1.metrics.loggers import StatLoggerBase

from workers.vllm.reports import report
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
