"""`planner status --watch`: redrawn in place on a terminal, else a block for each change."""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from planner.cli.decisions import moment
from planner.cli.local import board
from planner.cli.local.document import document
from planner.cli.local.lock import is_running
from planner.cli.local.status import Status, look
from planner.cli.output import (
    is_interactive,
    print_json,
    print_line,
    print_table,
    redrawn,
    table,
)
from planner.errors import ConfigError

_EVERY_SECONDS = 2.0

Show = Callable[[Status | None], None]


def watch(state: Path, output: str) -> None:
    """Show the deployment in *state* again and again until interrupted, also while none runs."""
    in_place = output == "table" and is_interactive(sys.stdout)
    try:
        with _in_place(state) if in_place else _in_blocks(state, output) as show:
            while True:
                show(_look(state))
                time.sleep(_EVERY_SECONDS)
    except KeyboardInterrupt:
        pass  # that is how it ends


def print_status(status: Status) -> None:
    """Print one look at a deployment."""
    for line in board.head(status):
        print_line(line)
    if status.fleet is not None:
        print_table(board.COLUMNS, board.rows(status))
    for line in board.foot(status):
        print_line(line)


def _look(state: Path) -> Status | None:
    if not is_running(state):
        return None
    try:
        return asyncio.run(look(state))
    except ConfigError:  # it is only starting, or has just ended
        return None


@contextmanager
def _in_place(state: Path) -> Iterator[Show]:
    with redrawn() as draw:

        def show(status: Status | None) -> None:
            now = moment(time.time())
            if status is None:
                draw(f"{now}   no deployment runs in {state}")
                return
            middle = [table(board.COLUMNS, board.rows(status))] if status.fleet is not None else []
            end = [*board.foot(status), f"{now}   Ctrl-C ends this"]
            draw(*board.head(status), *middle, *end)

        yield show


@contextmanager
def _in_blocks(state: Path, output: str) -> Iterator[Show]:
    before: list[object] = [object()]  # unlike anything seen

    def show(status: Status | None) -> None:
        seen = None if status is None else _what_counts(status)
        if seen == before[0]:
            return
        before[0] = seen
        if output == "json":
            print_json({"at": time.time(), **document(status, state)})
            return
        print_line(moment(time.time()))
        if status is None:
            print_line(f"no deployment runs in {state}")
        else:
            print_status(status)
        print_line()

    yield show


def _what_counts(status: Status) -> object:
    """Return what makes one look differ from another: no ages, loads or shares."""
    frontend, fleet = status.frontend, status.fleet or {}
    decisions = {role: status.decision(role) for role in fleet}
    desired = {role: decision and decision.desired for role, decision in decisions.items()}
    reasons = {role: board.reason(status, role) for role in fleet}
    served = None if frontend is None else (frontend.healthy, frontend.models)
    note = status.last and status.last.entry.note
    return served, status.servers, status.problem, fleet, desired, reasons, note
