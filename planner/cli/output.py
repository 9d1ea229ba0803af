"""What commands print: results on stdout as a table or as JSON, everything else on stderr."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from planner.api.document import versioned
from planner.cli.logs import is_quiet

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDTH = 100
"""Columns that a table may use where the terminal does not say."""

Cell = str | int | float | None
_Command = TypeVar("_Command", bound=Callable[..., Any])


def output_forms(*forms: str) -> Callable[[_Command], _Command]:
    """Return a decorator that adds ``-o`` with *forms*, the first by default, as `output`."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(forms),
        default=forms[0],
        show_default=True,
        help="Form of the result.",
    )


def output_option(command: _Command) -> _Command:
    """Add `-o table|json` to *command*, passed as the keyword `output`."""
    return output_forms("table", "json")(command)


def is_interactive(stream: TextIO) -> bool:
    """Return whether what was written to *stream* can be rewritten: it is a capable terminal."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def print_json(document: Mapping[str, object]) -> None:
    """Print *document* on stdout, led by its schema version; NaN and infinities become null."""
    click.echo(json.dumps(versioned(document), allow_nan=False))


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, title: str | None = None
) -> None:
    """Print *rows* on stdout under *columns*: numbers to the right, None as a dash."""
    _console().print(table(columns, rows, title=title))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, title: str | None = None
) -> "Table":
    """Return what `print_table` prints."""
    from rich.table import Table

    cells = [list(row) for row in rows]
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        numeric = all(isinstance(row[index], int | float | None) for row in cells)
        made.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        made.add_row(*("-" if cell is None else str(cell) for cell in row))
    return made


@contextmanager
def redrawn() -> "Iterator[Callable[..., None]]":
    """Yield what draws lines and tables on the terminal, each time over what it drew before."""
    from rich.console import Group
    from rich.live import Live

    with Live(console=_console(), auto_refresh=False) as live:
        yield lambda *parts: live.update(Group(*parts), refresh=True)


def print_line(text: str = "") -> None:
    """Print one line of the result on stdout."""
    click.echo(text)


def notice(text: str) -> None:
    """Tell the user something that is not the result: on stderr, and not under -q."""
    if not is_quiet():
        click.echo(text, err=True)


def _console() -> "Console":
    from rich.console import Console

    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = WIDTH
    return console
