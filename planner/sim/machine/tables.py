"""Makes the tables of records: numpy arrays where functions are compiled, else lists of objects."""

from dataclasses import fields
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from planner.sim.machine.compiled import IS_COMPILED
from planner.sim.machine.records import NOBODY, Request, Row, Table

_FORMATS: dict[Any, str] = {int: "i8", float: "f8", bool: "?"}


def table(row: type[Row], rows: int) -> Table[Row]:
    """Return *rows* new rows of a record class, each with its defaults."""
    if not IS_COMPILED:
        return [row() for _ in range(rows)]
    columns = fields(cast("Any", row))
    layout = [(c.name, c.metadata.get("format") or _FORMATS[c.type]) for c in columns]
    array = np.empty(rows, dtype=np.dtype(layout, align=True))
    for column in columns:
        array[column.name] = column.default
    return cast("Table[Row]", array)


def numbers(rows: int, value: int = NOBODY) -> Table[int]:
    """Return *rows* whole numbers."""
    return cast("Table[int]", np.full(rows, value, np.int64)) if IS_COMPILED else [value] * rows


def fields_of(rows: Table[Row]) -> Table[Row]:
    """Return *rows* such that plain Python can read and write their fields too."""
    return cast("Table[Row]", cast("Any", rows).view(np.recarray)) if IS_COMPILED else rows


def moments(requests: Table[Request], name: str) -> npt.NDArray[np.float64]:
    """Return one moment of all *requests*, in seconds."""
    if IS_COMPILED:
        column: npt.NDArray[np.float64] = cast("Any", requests)[name].copy()
        return column
    return np.array([getattr(request, name) for request in requests], dtype=np.float64)
