"""How far a simulation is, on stderr, once the wait is long enough to wonder about."""

import sys
import time
from collections.abc import Callable

import click

from planner.cli.logs import is_quiet
from planner.cli.output import is_interactive
from planner.core.units import format_duration

QUIET_SECONDS = 2.0
_TERMINAL_SECONDS = 0.2
_LOG_SECONDS = 10.0


class Progress:
    """Rewrites one line on a terminal, else adds one every ten seconds; silent under -q.

    There are as many *stages* as there will be calls of `stage`.
    """

    def __init__(self, stages: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stages = stages
        self._clock = clock
        self._is_terminal = is_interactive(sys.stderr)
        self._next = clock() + (QUIET_SECONDS if self._is_terminal else _LOG_SECONDS)
        self._is_dirty = False
        self._stage = 0
        self._name = ""
        self._hear: Callable[[float], None] = lambda _: None

    def __enter__(self) -> "Progress":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind on a terminal."""
        if self._is_dirty:
            click.echo("\r\033[K", nl=False, err=True)

    def stage(self, label: str) -> Callable[[float], None]:
        """Return what hears the share that is done; a share that falls begins another try."""
        self._stage += 1
        place = f" ({self._stage} of {self._stages})" if self._stages > 1 else ""
        return _Stage(f"{label}{place}", self._clock, self._tell).hear

    def hear(self, name: str, share: float) -> None:
        """Tell that *share* of what *name* does is done; another name begins the next stage."""
        if name != self._name:
            self._name, self._hear = name, self.stage(name)
        self._hear(share)

    def _tell(self, text: Callable[[], str]) -> None:
        if is_quiet() or self._clock() < self._next:
            return
        if self._is_terminal:
            self._is_dirty = True
            click.echo(f"\r\033[K{text()}", nl=False, err=True)
        else:
            click.echo(text(), err=True)
        self._next = self._clock() + (_TERMINAL_SECONDS if self._is_terminal else _LOG_SECONDS)


class _Stage:
    def __init__(
        self, label: str, clock: Callable[[], float], tell: Callable[[Callable[[], str]], None]
    ) -> None:
        self._label = label
        self._clock = clock
        self._tell = tell
        self._started = clock()
        self._share = 0.0
        self._tries = 1

    def hear(self, share: float) -> None:
        """Tell that *share* of the try is done."""
        if share < self._share:
            self._started = self._clock()
            self._tries += 1
        self._share = share
        self._tell(self._text)

    def _text(self) -> str:
        tried = f", try {self._tries}" if self._tries > 1 else ""
        return f"simulating {self._label}{tried} {self._share:4.0%}{self._left()}"

    def _left(self) -> str:
        elapsed = self._clock() - self._started
        if not 0.02 <= self._share < 1 or elapsed < 1:
            return ""
        left = elapsed * (1 - self._share) / self._share
        return f", {format_duration(max(1, round(left)))} left"
