"""A plugin of vLLM: the processes that a worker's engine consists of end with the worker, and soon.

They outlive a worker that is killed otherwise, and hold its memory and its ports. vLLM calls every
installed plugin in each of its processes; this one acts in those of our workers alone.
"""

import atexit
import os
import sys
import threading
import time
from typing import NoReturn

from workers.vllm import progress, progress_thread

VARIABLE = "PLANNER_VLLM_WORKER"
"""In the environment of a worker's processes: the process id of the worker."""
_LOOK_SECONDS = 0.5


def end_with_worker() -> None:
    """Let this process end within a second of its parent, if it is one of a worker's engine.

    Until then it tells the worker how far it has come. The kernel could see to the end, but only
    for as long as the thread that started it lives.
    """
    worker = os.environ.get(VARIABLE)
    if worker is None or int(worker) == os.getpid():
        return
    # Only vLLM's shutdown may end it, which does not look at the code; to the rest it has failed.
    atexit.register(leave, 1)
    progress.note_progress()
    progress_thread.rest_between_events()
    watching = threading.Thread(target=_watch, args=(int(worker),), daemon=True)
    watching.name = "end with worker"
    watching.start()


def leave(code: int) -> NoReturn:
    """End this process without Python's search for cycles among all objects of torch and vLLM.

    That takes seconds, in each of the processes, after everything has been closed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _watch(worker: int) -> None:
    while _is_alive(worker):
        time.sleep(_LOOK_SECONDS)
    os._exit(1)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
