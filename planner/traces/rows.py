"""Rows on their way into a trace: the checks that every format shares, and how they fail."""

from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np

from planner.errors import TraceError
from planner.traces.trace import HashIds, Trace

MOST_TOKENS = 10_000_000
"""More than any prompt; a number above it is a wrong column, and would size a wrong fleet."""


@dataclass(slots=True, kw_only=True)
class Rows:
    """Columns that grow while a file is read; `line` keeps each row's place in the file."""

    name: str
    line: list[int] = field(default_factory=list)
    arrival: list[float] = field(default_factory=list)
    """Seconds since any fixed moment; the trace counts from the first."""
    isl: list[int] = field(default_factory=list)
    osl: list[int] = field(default_factory=list)
    hash_ids: list[tuple[int, ...]] = field(default_factory=list)

    def reject(self, line: int, what: str, *, hint: str | None = None) -> NoReturn:
        """Raise the TraceError that names this file and *line*."""
        raise TraceError(f"trace {self.name}, line {line}: {what}", hint=hint)

    def trace(self, *, input_name: str, output_name: str) -> Trace:
        """Return the trace; raises TraceError at the first row that cannot have happened."""
        if not self.line:
            raise TraceError(
                f"trace {self.name}: no requests, only a header",
                hint="to try without a trace of your own: --trace bundled:azure-conv",
            )
        arrival = np.array(self.arrival, dtype=np.float64)
        self._check_order(arrival)
        self._check_tokens(input_name, self.isl)
        self._check_tokens(output_name, self.osl)
        hash_ids: HashIds | None = tuple(self.hash_ids) if any(self.hash_ids) else None
        return Trace(
            name=self.name,
            arrival_seconds=arrival - arrival[0],
            isl=np.array(self.isl, dtype=np.int64),
            osl=np.array(self.osl, dtype=np.int64),
            hash_ids=hash_ids,
        )

    def _check_order(self, arrival: np.ndarray) -> None:
        backwards = np.flatnonzero(np.diff(arrival) < 0)
        if len(backwards):
            i = int(backwards[0]) + 1
            self.reject(
                self.line[i],
                f"arrives {arrival[i - 1] - arrival[i]:.3f} s before the request above it; "
                "requests must be in order of arrival",
                hint=f"sort the rows of {self.name} by timestamp",
            )

    def _check_tokens(self, column: str, values: list[int]) -> None:
        lowest, highest = min(values), max(values)
        if lowest >= 1 and highest <= MOST_TOKENS:
            return
        wrong = lowest if lowest < 1 else highest
        self.reject(
            self.line[values.index(wrong)],
            f"{column} {wrong}: must be from 1 to {MOST_TOKENS} tokens",
            hint="drop the requests that produced or consumed nothing" if wrong == 0 else None,
        )
