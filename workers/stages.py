"""How long each stage of a worker's start-up took, counted from the start of its process."""

import os
import time
from collections.abc import Callable
from pathlib import Path

_STARTED = time.monotonic()


class Stages:
    """Stages that are complete, with the seconds since the process started."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, started: float | None = None
    ) -> None:
        self._clock = clock
        self._started = process_start() if started is None else started
        self.seconds: dict[str, float] = {}

    def complete(self, stage: str, at: float | None = None) -> float:
        """Note that *stage* is complete, now or since *at* on the clock; returns its seconds."""
        self.seconds[stage] = (self._clock() if at is None else at) - self._started
        return self.seconds[stage]


def process_start() -> float:
    """Return when this process started, on the monotonic clock.

    Where the system does not tell (other than Linux), when this module was imported.
    """
    try:
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return _STARTED
    since_boot = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.monotonic() - (uptime - since_boot)
