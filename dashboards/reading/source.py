"""The journal that the pages read, opened anew for each look, so that a new file is seen."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dashboards.reading.health import Moved, Trouble, moved, troubles
from dashboards.reading.intervals import Interval, intervals
from dashboards.reading.listing import Filter, Listed, listing
from dashboards.reading.look import Look
from dashboards.reading.runs import runs
from dashboards.reading.window import Span, Window, changes, span, window
from planner.errors import JournalError
from planner.journal import Journal, Record, Run
from planner.journal.records import Query
from planner.journal.schema import connect_reader

JOURNAL_VARIABLE = "PLANNER_JOURNAL"
OBSERVE = "planner run --observe --sla ttft=200ms,itl=20ms"


@dataclass(frozen=True, slots=True)
class Source:
    """A journal by its path. Everything raises JournalError where it cannot be read."""

    path: Path

    @classmethod
    def from_environment(cls) -> "Source":
        """Return the journal that the launcher named; raises JournalError when none is."""
        named = os.environ.get(JOURNAL_VARIABLE)
        if not named:
            raise JournalError("no journal is named", hint="planner dashboard --journal FILE")
        return cls(Path(named))

    def span(self, seconds: float | None = None) -> Span | None:
        """Return the last *seconds* up to the latest decision, all for None; None if empty."""
        with self._database() as database:
            whole = span(database, self.path)
            if whole is None or seconds is None:
                return whole
            return span(database, self.path, since=whole.until - seconds)

    def window(self, within: Span) -> Window:
        """Return the looks of *within*."""
        with self._database() as database:
            return window(database, self.path, within)

    def changes(self, within: Span) -> tuple[Look, ...]:
        """Return the latest decisions of *within* that changed the fleet, newest first."""
        with self._database() as database:
            return changes(database, self.path, within)

    def listing(self, within: Span, chosen: Filter) -> list[Listed]:
        """Return the latest decisions of *within* that *chosen* lets through, newest first."""
        with self._database() as database:
            return listing(database, self.path, within, chosen=chosen)

    def troubles(self, within: Span) -> list[Trouble]:
        """Return what the loop noted in *within*, the latest first."""
        with self._database() as database:
            return troubles(database, self.path, within)

    def moved(self, within: Span) -> list[Moved]:
        """Return which replicas were moved in *within*, the latest first."""
        with self._database() as database:
            return moved(database, self.path, within)

    def record(self, decision: int) -> Record:
        """Return one decision with all that belongs to it."""
        with Journal.read(self.path) as journal:
            return journal.get(decision)

    def records(self, run: int, *, most: int) -> list[Record]:
        """Return the last decisions of *run* in full, oldest first."""
        with Journal.read(self.path) as journal:
            return journal.query(Query(run=run, limit=most))[::-1]

    def intervals(self, within: Span, *, run: int) -> list[Interval]:
        """Return what arrived in the last intervals of *run* in *within*, oldest first."""
        with self._database() as database:
            return intervals(database, self.path, within, run=run)

    def runs(self) -> list[Run]:
        """Return the latest runs, oldest first."""
        with self._database() as database:
            return runs(database, self.path)

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        with closing(connect_reader(self.path)) as database:
            database.row_factory = sqlite3.Row
            yield database
