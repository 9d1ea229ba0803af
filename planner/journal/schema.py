"""The journal's tables and how a file becomes a connection, or one line that says why not."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from planner.errors import JournalError

VERSION = 1
APPLICATION_ID = 0x504C4E52  # "PLNR": tells a journal from any other SQLite file

_TABLES = """
CREATE TABLE runs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  started REAL NOT NULL, mode TEXT NOT NULL, sla TEXT NOT NULL,
  config TEXT NOT NULL, initial_state TEXT NOT NULL, pruned INTEGER NOT NULL DEFAULT 0);
CREATE TABLE decisions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run INTEGER NOT NULL REFERENCES runs,
  at REAL NOT NULL, changed INTEGER NOT NULL,
  observation TEXT, plan TEXT, outcome TEXT, started TEXT NOT NULL, draining TEXT NOT NULL,
  note TEXT);
CREATE INDEX decisions_at ON decisions (at);
CREATE INDEX decisions_run ON decisions (run, id);
CREATE TABLE reasons (
  reason TEXT NOT NULL, role TEXT NOT NULL,
  decision INTEGER NOT NULL REFERENCES decisions ON DELETE CASCADE,
  PRIMARY KEY (reason, role, decision)) WITHOUT ROWID;
CREATE INDEX reasons_decision ON reasons (decision);
CREATE TABLE state (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  run INTEGER NOT NULL, at REAL NOT NULL, state TEXT NOT NULL);
"""


def connect_writer(path: Path) -> sqlite3.Connection:
    """Return a connection that may write, creating folder, file and tables where missing.

    Raises JournalError for a file that is not a journal, or one of a newer version.
    """
    _refuse_folder(path)
    with telling(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Return a connection that only reads, also while a planner writes.

    Raises JournalError for a missing file, one that is not a journal, or one of a newer version.
    """
    if not path.exists():
        raise JournalError(
            f"no journal at {path}",
            hint="planner run --observe --sla ttft=200ms,itl=20ms",
        )
    _refuse_folder(path)
    with telling(path):
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True,
                                     check_same_thread=False, isolation_level=None)  # fmt: skip
        try:
            _check_identity(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system raise into a JournalError about *path*."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise JournalError(f"journal {path}: {error}", hint=f"ls -l {path.parent}") from error
    except (sqlite3.DatabaseError, ValueError) as error:
        raise JournalError(
            f"journal {path}: damaged: {error}", hint=f"mv {path} {path}.damaged"
        ) from error
    except OSError as error:
        raise JournalError(f"journal {path}: {error.strerror}", hint=f"ls -l {path}") from error


def _refuse_folder(path: Path) -> None:
    if path.is_dir():
        raise JournalError(
            f"journal {path}: a folder, not a file", hint=f"--journal {path}/journal.sqlite"
        )


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("BEGIN IMMEDIATE")
    if _pragma(connection, "user_version") == 0 and _is_empty(connection):
        for statement in _TABLES.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")
    _check_identity(connection, path)
    connection.execute("PRAGMA journal_mode = WAL")
    # A killed process loses nothing; a power cut may lose the last seconds, and harms no file.
    connection.execute("PRAGMA synchronous = NORMAL")
    # A writer appends: pages kept by the megabyte are only memory, in each of many journals.
    connection.execute("PRAGMA cache_size = -128")


def _check_identity(connection: sqlite3.Connection, path: Path) -> None:
    version = _pragma(connection, "user_version")
    if _pragma(connection, "application_id") != APPLICATION_ID:
        raise JournalError(
            f"journal {path}: a SQLite file, but not a planner's", hint="--journal PATH names it"
        )
    if version != VERSION:
        raise JournalError(
            f"journal {path}: schema version {version}; this planner reads up to {VERSION}",
            hint="pip install --upgrade planner",
        )


def _is_empty(connection: sqlite3.Connection) -> bool:
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return bool(tables == 0)


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)
