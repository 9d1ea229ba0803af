"""Drops what no screen could show: hours of data in a chart of some hundred pixels."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from planner.charts.svg import Position, Positions


def thinned(positions: Positions) -> list[Position | None]:
    """Return *positions* with at most four in a pixel column: first, lowest, highest, last.

    The picture stays the same. Gaps stay too.
    """
    kept: list[Position | None] = []
    for column, group in groupby(positions, key=_column):
        kept.extend([None] if column is None else _extremes(group))
    return kept


def _column(position: Position | None) -> int | None:
    return None if position is None else int(position[0])


def _extremes(group: Iterable[Position | None]) -> Iterator[Position]:
    column = [position for position in group if position is not None]
    indices = range(len(column))
    chosen = {
        0,
        min(indices, key=lambda index: column[index][1]),
        max(indices, key=lambda index: column[index][1]),
        len(column) - 1,
    }
    return (column[index] for index in sorted(chosen))
