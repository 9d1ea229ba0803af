"""The journal itself: appended to by one loop, read by anyone at any time."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self, cast

from planner.core.state import PolicyState
from planner.errors import JournalError
from planner.journal import rows
from planner.journal.records import Entry, Query, Record, Run
from planner.journal.schema import connect_reader, connect_writer, telling

KEPT_DECISIONS = 200_000
"""Eleven days of decisions every 5 s, about half a gigabyte."""

_PRUNE_EVERY = 1000


class Journal:
    """A file of runs and their decisions. Methods raise JournalError when it cannot be used.

    `Journal.open` is for the one planner that writes, `Journal.read` for everybody else. A
    context manager: leaving it releases the file.
    """

    def __init__(self, path: Path, db: sqlite3.Connection, *, kept: int = KEPT_DECISIONS) -> None:
        self.path = path
        self._db = db
        self._db.row_factory = sqlite3.Row
        self._kept = kept
        self._appended = 0

    @classmethod
    def open(cls, path: str | Path, *, kept: int = KEPT_DECISIONS) -> Self:
        """Open for writing, creating what is missing. The oldest decisions beyond *kept* go."""
        return cls(Path(path), connect_writer(Path(path)), kept=kept)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Open an existing journal for reading."""
        return cls(Path(path), connect_reader(Path(path)))

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release the file."""
        self.close()

    def begin(self, run: Run) -> int:
        """Record the start of *run* and return the id that its decisions carry."""
        with self._transaction():
            return _id(self._db.execute(rows.INSERT_RUN, rows.run_row(run)))

    def append(self, run: int, entry: Entry, *, state: PolicyState | None = None) -> int:
        """Record *entry* and, unless None, the policy's *state* after it; both or neither.

        Returns the decision's id.
        """
        with self._transaction():
            decision = _id(self._db.execute(rows.INSERT_ENTRY, rows.entry_row(run, entry)))
            self._db.executemany(
                "INSERT INTO reasons (reason, role, decision) VALUES (?, ?, ?)",
                rows.reason_rows(decision, entry.plan),
            )
            if state is not None:
                self._db.execute(
                    "INSERT OR REPLACE INTO state (only, run, at, state) VALUES (1, ?, ?, ?)",
                    (run, entry.at, rows.state_text(state)),
                )
        self._appended += 1
        if self._appended % _PRUNE_EVERY == 0:
            self.prune(kept=self._kept)
        return decision

    def state(self) -> PolicyState | None:
        """Return the policy's latest state, where a restart continues.

        None before any, and where a planner with another form of it wrote it: what was learned is
        then learned anew, and nothing shrinks meanwhile.
        """
        with telling(self.path):
            row = self._db.execute("SELECT state FROM state").fetchone()
            if row is None or rows.is_of_another_version(row["state"]):
                return None
            return rows.state_of(row["state"])

    def runs(self) -> Sequence[Run]:
        """Return every run that is still known and of this version, oldest first."""
        with telling(self.path):
            found = self._db.execute(f"{rows.SELECT_RUNS} ORDER BY id").fetchall()
            return [
                rows.run_of(row)
                for row in found
                if not rows.is_of_another_version(row["initial_state"])
            ]

    def latest(self) -> Record | None:
        """Return the last decision; None when there is none."""
        return next(iter(self.query(Query(limit=1))), None)

    def get(self, decision: int) -> Record:
        """Return the decision with that id; raises JournalError when there is none."""
        for record in self._records("d.id = ?", [decision]):
            return record
        raise JournalError(f"decision {decision}: not in {self.path}", hint="planner history")

    def query(self, query: Query) -> list[Record]:
        """Return the decisions that *query* asks for, newest first."""
        where, parameters = rows.conditions(query)
        newest = f"{where} ORDER BY d.id DESC LIMIT ?"
        return list(self._records(newest, [*parameters, query.limit]))

    def replay(self, run: int) -> Iterator[Record]:
        """Yield the decisions of *run* in order, complete, so that they can be decided again.

        Raises JournalError when the first ones are gone: those after them depend on them.
        """
        with telling(self.path):
            row = self._db.execute("SELECT pruned FROM runs WHERE id = ?", (run,)).fetchone()
        if row is None:
            raise JournalError(f"run {run}: not in {self.path}", hint="planner history")
        if row["pruned"]:
            raise JournalError(f"run {run}: its first decisions were pruned from {self.path}")
        return self._records("d.run = ? ORDER BY d.id", [run])

    def prune(self, *, kept: int | None = None, before: float | None = None) -> int:
        """Delete the oldest decisions beyond *kept*, and those from *before* that wall time.

        Returns how many went. A run stays as long as one of its decisions does.
        """
        oldest = -1e300 if before is None else before
        with self._transaction():
            (last,) = self._db.execute("SELECT coalesce(max(id), 0) FROM decisions").fetchone()
            doomed = (oldest, -1 if kept is None else last - kept)
            self._db.execute(
                "UPDATE runs SET pruned = 1 WHERE id IN"
                " (SELECT run FROM decisions WHERE at < ? OR id <= ?)",
                doomed,
            )
            gone = self._db.execute("DELETE FROM decisions WHERE at < ? OR id <= ?", doomed)
            self._db.execute(
                "DELETE FROM runs WHERE pruned AND id NOT IN (SELECT run FROM decisions)"
            )
            return gone.rowcount

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with telling(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self._db.in_transaction:  # SQLite rolls back by itself on a full disk
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _records(self, where: str, parameters: Iterable[object]) -> Iterator[Record]:
        with telling(self.path):
            sql = f"{rows.SELECT_RECORDS} WHERE {where}"
            for row in self._db.execute(sql, tuple(parameters)):
                yield rows.record_of(row)


def _id(cursor: sqlite3.Cursor) -> int:
    return cast("int", cursor.lastrowid)
