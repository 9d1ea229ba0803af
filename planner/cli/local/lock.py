"""One deployment a state folder: a lock that the kernel frees when its last holder ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from planner.errors import ConfigError

_FILE = "lock"
_KEPT = ("journal", "profiling")
"""What planners and profilers leave there, whose names begin like this."""


@contextmanager
def hold_lock(state: Path) -> Iterator[int]:
    """Hold the lock of *state*; yield the descriptor that a child inherits to hold it too.

    The folder is created. Raises ConfigError when a deployment has it, and for a folder of
    something else: a deployment clears what the last one left.
    """
    _claim(state)
    lock = open_lock(state / _FILE)
    try:
        if not take_lock(lock):
            raise ConfigError(
                f"a deployment runs already in {state}",
                hint="planner status, planner stop, or another folder: --state-dir DIR",
            )
        yield lock
    finally:
        os.close(lock)


def is_running(state: Path) -> bool:
    """Return whether a deployment holds the lock of *state*."""
    if not (state / _FILE).exists():
        return False
    lock = open_lock(state / _FILE)
    try:
        return not take_lock(lock)
    finally:
        os.close(lock)


def _claim(state: Path) -> None:
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        present = {path.name for path in state.iterdir()}
    except OSError as error:
        message = f"--state-dir {state}: {(error.strerror or str(error)).lower()}"
        raise ConfigError(message, hint="--state-dir DIR") from error
    foreign = sorted(name for name in present if not name.startswith(_KEPT))
    if foreign and _FILE not in present:
        raise ConfigError(
            f"--state-dir {state}: holds {foreign[0]}, so it is not a deployment's folder",
            hint="--state-dir DIR, empty or new",
        )


def open_lock(path: Path) -> int:
    """Return a descriptor of the lock file *path*, which is created where it is not there."""
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def take_lock(lock: int) -> bool:
    """Return whether *lock* is held from now on; False where another descriptor holds it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
