"""One replay from its first request to its report."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from planner.api.document import plain
from planner.cli.exits import Exit
from planner.cli.live.progress import shown
from planner.cli.live.replay_report import print_document, print_report
from planner.cli.live.stopping import unless
from planner.cli.output import notice
from planner.core.sla import Sla
from planner.core.units import format_duration, format_share
from planner.errors import ConfigError, PlannerError
from planner.replay import Endpoint, Load, Measurement, Report, Status, replay, report
from planner.traces import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaying:
    """What to send where, and how to judge it. *timeout* is in seconds."""

    trace: Trace
    url: str
    model: str | None
    sla: Sla | None
    timeout: float
    concurrency: int
    seed: int
    requests_out: Path | None


class Tally:
    """What has been measured so far."""

    def __init__(self, replaying: Replaying, out: TextIO | None) -> None:
        self._replaying = replaying
        self._out = out
        self._started = time.monotonic()
        self._failed = 0
        self._within = 0
        self.measurements: list[Measurement] = []

    def add(self, measurement: Measurement) -> None:
        """Take one more measurement, and write it where that was asked for."""
        self.measurements.append(measurement)
        self._failed += measurement.status is Status.FAILED
        sla = self._replaying.sla
        self._within += sla is not None and measurement.within(sla)
        if self._out is not None:
            self._out.write(json.dumps(plain(measurement)) + "\n")

    def report(self) -> Report:
        """Return what all of it comes to."""
        return report(self.measurements, sla=self._replaying.sla, duration_seconds=self._elapsed())

    def line(self) -> str:
        """Return where the replay stands, in one line."""
        trace, ended = self._replaying.trace, len(self.measurements)
        sent = int(np.searchsorted(trace.arrival_seconds, self._elapsed(), side="right"))
        left = round(max(0.0, trace.duration_seconds - self._elapsed()))
        parts = [f"{sent}/{len(trace)} sent", f"{max(0, sent - ended)} under way"]
        if self._failed:
            parts.append(f"{self._failed} failed")
        if self._replaying.sla is not None and ended:
            parts.append(f"attainment {format_share(self._within / ended)}")
        parts.append(f"{format_duration(left)} left" if left else "waiting for the last")
        return "  ".join(parts)

    def _elapsed(self) -> float:
        return time.monotonic() - self._started


async def send(replaying: Replaying, *, output: str, stop: asyncio.Event) -> int:
    """Replay until the end or until *stop*, print the report, and return the exit code."""
    async with Endpoint(replaying.url, timeout=replaying.timeout) as endpoint:
        model = replaying.model or await _only_model(endpoint)
        load = Load(
            trace=replaying.trace,
            model=model,
            seed=replaying.seed,
            concurrency=replaying.concurrency,
        )
        notice(_introduction(replaying, model))
        with _opened(replaying.requests_out) as out:
            tally = Tally(replaying, out)
            async with shown(tally.line):
                await unless(stop, replay(load, endpoint, measured=tally.add))
    show = print_document if output == "json" else print_report
    result = tally.report()
    show(result, replaying.sla)
    if stop.is_set():
        return Exit.INTERRUPTED
    return Exit.DONE if result.completed or not result.requests else Exit.FAILED


async def _only_model(endpoint: Endpoint) -> str:
    models = await endpoint.models()
    if len(models) == 1:
        return models[0]
    if not models:
        raise PlannerError(f"{endpoint.url}: serves no model now", hint="planner status")
    listed = ", ".join(models)
    raise ConfigError(f"{endpoint.url}: serves {listed}", hint=f"--model {models[0]}")


def _introduction(replaying: Replaying, model: str) -> str:
    trace = replaying.trace
    return (
        f"replaying {trace.name}: {len(trace)} requests in "
        f"{format_duration(round(trace.duration_seconds))} to {model} at {replaying.url}"
    )


@contextmanager
def _opened(path: Path | None) -> Iterator[TextIO | None]:
    """Yield *path* opened for writing; raises ConfigError when it cannot be."""
    if path is None:
        yield None
        return
    try:
        out = path.open("w", encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"--requests-out {path}: {error.strerror}", hint="--requests-out FILE"
        ) from error
    with out:
        yield out
