"""How far a sweep is: a bar that rewrites itself on a terminal, a line a point elsewhere."""

import sys
from functools import singledispatchmethod
from statistics import median

import click

from planner.cli.logs import is_quiet
from planner.cli.output import is_interactive
from planner.core.units import format_duration
from profiler.events import (
    BudgetSpent,
    EngineFailed,
    EngineReady,
    EngineStarting,
    Event,
    PairStarting,
    PointDone,
    PointStarting,
    TransferDone,
)
from profiler.record import PointRecord, TransferRecord

_BAR = 24


class Progress:
    """Hears the events of a sweep; silent under -q. A context manager that clears its bar."""

    def __init__(self, *, points: int) -> None:
        self._is_terminal = is_interactive(sys.stderr) and not is_quiet()
        self._is_quiet = is_quiet()
        self._done, self._total = 0, points
        self._left = ""
        self.measured = 0
        """Points measured in this run."""

    def __enter__(self) -> "Progress":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind on a terminal."""
        if self._is_terminal:
            click.echo("\r\033[K", nl=False, err=True)

    def hear(self, event: Event) -> None:
        """Show *event*."""
        self._show(event)

    @singledispatchmethod
    def _show(self, event: object) -> None:
        """What is not named below needs no line: the next event tells it."""

    @_show.register
    def _(self, event: EngineStarting) -> None:
        self._tell(f"{event.parallelism}: starting an engine", lasting=False)

    @_show.register
    def _(self, event: EngineReady) -> None:
        facts = event.facts
        how = "started in an earlier run" if event.resumed else "ready"
        start_up = format_duration(round(facts.start_up_seconds, 1))
        told = (
            f"start-up {start_up}, {facts.kv_capacity_tokens} KV tokens,"
            f" {facts.max_num_seqs} sequences, {facts.max_num_batched_tokens} tokens a step"
        )
        self._tell(f"{event.parallelism}: {how} ({told})", lasting=True)

    @_show.register
    def _(self, event: EngineFailed) -> None:
        self._tell(f"{event.parallelism}: given up: {event.failure}", lasting=True)

    @_show.register
    def _(self, event: PointStarting) -> None:
        self._tell(f"{event.parallelism} {event.ask}", lasting=False)

    @_show.register
    def _(self, event: PointDone) -> None:
        self._done, self._total = event.done, event.total
        self._left = f"{format_duration(max(1, round(event.seconds_left)))} left"
        self.measured += not event.resumed
        told = " (kept from an earlier run)" if event.resumed else ""
        self._tell(f"{described(event.record)}{told}", lasting=True, counted=True)

    @_show.register
    def _(self, event: PairStarting) -> None:
        self._tell(f"{event.parallelism}: starting two engines", lasting=False)

    @_show.register
    def _(self, event: TransferDone) -> None:
        told = " (kept from an earlier run)" if event.resumed else ""
        self._tell(f"{transferred(event.record)}{told}", lasting=True)

    @_show.register
    def _(self, event: BudgetSpent) -> None:
        self._tell(f"{event.parallelism}: the time is up", lasting=True)

    def _tell(self, text: str, *, lasting: bool, counted: bool = False) -> None:
        """Show *text*: in the bar, and where it is *lasting* on a line of its own."""
        if self._is_quiet:
            return
        if self._is_terminal:
            line = f"{text}\n" if lasting else ""
            bar = self._bar("" if lasting else text)
            click.echo(f"\r\033[K{line}{bar}", nl=False, err=True)
        elif lasting:
            place = f"  {self._done}/{self._total}, {self._left}" if counted and self._left else ""
            click.echo(f"{text}{place}", err=True)

    def _bar(self, text: str) -> str:
        filled = round(_BAR * self._done / max(1, self._total))
        parts = [f"[{'#' * filled}{'.' * (_BAR - filled)}] {self._done}/{self._total}", self._left]
        return "  ".join(part for part in (*parts, text) if part)[: _columns() - 1]


def described(record: PointRecord) -> str:
    """Return what a point came to, in one line."""
    what = f"{record.parallelism} {record.ask}"
    if record.failure is not None:
        return f"{what}: failed: {record.failure}"
    width = record.half_width
    spread = "" if width is None else f" +-{width:.1%}"
    repeats = f"{spread} of {len(record.samples)}"
    if record.prefill_point is not None:
        return f"{what}: ttft {record.prefill_point.ttft_seconds * 1e3:.4g}ms{repeats}"
    point = record.decode_point
    assert point is not None, "a point that did not fail has a mean"
    return (
        f"{what}: itl {point.itl_seconds * 1e3:.4g}ms{repeats},"
        f" held {point.batch:.4g} with {point.kv_tokens:.0f} tokens"
    )


def transferred(record: TransferRecord) -> str:
    """Return how fast KV moved between two engines, in one line."""
    what, rate = f"{record.parallelism} to {record.parallelism}", record.bytes_per_second
    if rate is None:
        return f"{what}: KV transfer not measured: {record.failure}"
    middle = median(sample.seconds for sample in record.samples)
    return f"{what}: KV of a prompt {middle * 1e3:.4g}ms, {rate / 1e9:.3g} GB/s a GPU"


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns
