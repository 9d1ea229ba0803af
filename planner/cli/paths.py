"""Where the planner keeps its state on this machine, for every command that reads or writes it."""

import os
from pathlib import Path


def state_directory() -> Path:
    """Return ``$PLANNER_STATE_DIR``, else ``$XDG_STATE_HOME/planner``, else ~/.local/state/planner.

    The folder need not exist.
    """
    own = os.environ.get("PLANNER_STATE_DIR")
    if own:
        return Path(own)
    shared = os.environ.get("XDG_STATE_HOME")
    return (Path(shared) if shared else Path.home() / ".local" / "state") / "planner"


def default_journal_path() -> Path:
    """Return the journal that `run` writes and `history` and `explain` read."""
    return journal_in(state_directory())


def journal_in(state: Path) -> Path:
    """Return where the journal of the state folder *state* is, unless another one is named."""
    return state / "journal.sqlite"
