"""Progress of a long command: one line that rewrites itself on a terminal, else one every 10 s."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import click

from planner.cli.logs import is_quiet
from planner.cli.output import is_interactive
from planner.core.units import format_duration

_TERMINAL_SECONDS = 0.5
_LOG_SECONDS = 10.0


@asynccontextmanager
async def shown(describe: Callable[[], str]) -> AsyncIterator[None]:
    """Show what *describe* returns, again and again, for as long as the block runs."""
    if is_quiet():
        yield
        return
    terminal = is_interactive(sys.stderr)
    showing = asyncio.create_task(_rewritten(describe) if terminal else _repeated(describe))
    try:
        yield
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)
        if terminal:
            click.echo("\r\033[K", nl=False, err=True)


def countdown(
    doing: str, seconds: float, *, clock: Callable[[], float] = time.monotonic
) -> Callable[[], str]:
    """Return what tells that *doing* takes *seconds* from now, and how many of them are left."""
    end = clock() + seconds

    def describe() -> str:
        left = round(end - clock())
        return f"{doing}, {format_duration(left)} left" if left > 0 else doing

    return describe


async def _rewritten(describe: Callable[[], str]) -> None:
    while True:
        click.echo(f"\r\033[K{describe()}", nl=False, err=True)
        await asyncio.sleep(_TERMINAL_SECONDS)


async def _repeated(describe: Callable[[], str]) -> None:
    while True:
        await asyncio.sleep(_LOG_SECONDS)
        click.echo(describe(), err=True)
