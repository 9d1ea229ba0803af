"""The lives of planners, by the settings that they recorded."""

import json
import sqlite3
from pathlib import Path

from planner.journal import Run
from planner.journal.schema import telling

MOST_RUNS = 100

_RUNS = "SELECT id, started, mode, sla, config FROM runs ORDER BY id DESC LIMIT ?"


def runs(database: sqlite3.Connection, path: Path, *, most: int = MOST_RUNS) -> list[Run]:
    """Return the latest runs, oldest first; raises JournalError.

    The state that each began with is left blank: an older planner's is of no use here.
    """
    with telling(path):
        return [
            Run(
                id=row["id"],
                started=row["started"],
                mode=row["mode"],
                sla=row["sla"],
                config=json.loads(row["config"]),
            )
            for row in reversed(database.execute(_RUNS, (most,)).fetchall())
        ]
