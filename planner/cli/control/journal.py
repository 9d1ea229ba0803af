"""Which journal belongs to the settings of a command, and what it remembers."""

from pathlib import Path

from planner.cli.paths import journal_in, state_directory
from planner.config import Settings
from planner.core.state import PolicyState
from planner.journal import Journal, Query

_LATELY_INTERVALS = 3


def journal_path(settings: Settings) -> Path:
    """Return the journal that was named, else the one in the state folder."""
    return settings.journal or journal_in(settings.state_dir or state_directory())


def is_acted_on(settings: Settings, *, now: float) -> bool:
    """Return whether a planner that acts has written into the journal lately, at wall time *now*.

    Raises JournalError for a file that is no journal.
    """
    path = journal_path(settings)
    if not path.exists():
        return False
    with Journal.read(path) as journal:
        since = now - _LATELY_INTERVALS * settings.interval
        return bool(journal.query(Query(mode="acts", since=since, limit=1)))


def remembered_state(settings: Settings) -> PolicyState:
    """Return the policy's latest state, blank where no planner has run yet.

    Raises JournalError for a file that is no journal.
    """
    path = journal_path(settings)
    if not path.exists():
        return PolicyState()
    with Journal.read(path) as journal:
        return journal.state() or PolicyState()
