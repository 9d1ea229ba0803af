"""Every decision with its inputs, in SQLite: the loop writes, the command line and pages read."""

from planner.journal.records import Entry, Query, Record, Run
from planner.journal.store import Journal

__all__ = ["Entry", "Journal", "Query", "Record", "Run"]
