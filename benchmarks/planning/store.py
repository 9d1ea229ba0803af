"""Rows on disk as they come, so that a run that is cut short goes on where it stopped."""

import json
import subprocess
from collections.abc import Container, Iterable
from pathlib import Path

from jobs import Job, Row, key_of


class Store:
    """Rows by job, one JSON line each in *path*; *again* are policies whose rows are dropped."""

    def __init__(self, path: Path, *, again: Container[str] = ()) -> None:
        self._path = path
        self.rows = [row for row in _read(path) if row["policy"] not in again]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(map(_line, self.rows)))
        self._done = {key_of(row) for row in self.rows}

    def lacks(self, job: Job) -> bool:
        """Return whether *job* is still to be run."""
        return job.key not in self._done

    def add(self, rows: Iterable[Row], *, commit: str) -> None:
        """Keep *rows*, which the code of *commit* gave."""
        told = [{**row, "commit": commit} for row in rows]
        with self._path.open("a") as file:
            file.writelines(map(_line, told))
        self.rows += told
        self._done |= {key_of(row) for row in told}


def commit_name() -> str:
    """Return the commit of the working tree, with a plus where planner's code differs from it."""
    folder = Path(__file__).parents[2]
    show = ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"]
    changed = ["git", "-C", str(folder), "status", "--porcelain", "-uno", "planner"]
    name = subprocess.run(show, capture_output=True, text=True, check=False).stdout.strip()
    differs = subprocess.run(changed, capture_output=True, text=True, check=False).stdout.strip()
    return f"{name or 'unknown'}{'+' if differs else ''}"


def _read(path: Path) -> list[Row]:
    if not path.exists():
        return []
    # A run that was killed may have left half a line.
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]


def _line(row: Row) -> str:
    return json.dumps(row) + "\n"
