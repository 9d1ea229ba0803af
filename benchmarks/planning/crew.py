"""Runs jobs in several processes until there is no time left."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from jobs import Job, Row, run

from runtime.process import die_with_parent

Done = tuple[Job, list[Row] | None]


def run_all(
    jobs: Sequence[Job], folder: Path, *, processes: int, deadline: float
) -> Iterator[Done]:
    """Yield every job with its rows, as they come; None for one not begun by *deadline*.

    *deadline* is on the monotonic clock, which all processes of a machine share.
    """
    work = partial(_timely, folder=folder, deadline=deadline)
    with get_context("fork").Pool(processes, _follow, (os.getpid(),)) as pool:
        yield from pool.imap_unordered(work, jobs)


def _follow(parent: int) -> None:
    """Leave Ctrl-C to the process *parent*, and end when it does, however that happens."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    die_with_parent(parent)


def _timely(job: Job, *, folder: Path, deadline: float) -> Done:
    return job, run(job, folder) if time.monotonic() < deadline else None
