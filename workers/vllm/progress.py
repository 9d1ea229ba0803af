"""When vLLM's processes came how far in starting: read off what they log, as nothing else tells.

vLLM's configuration has a compile time, but it is counted in the engine's process and stays there.
So the plugin in `parent` lets each of its processes note when certain lines are logged. Weights
of the load format ``dummy`` have no line on a CPU; a stage without a line is left out.
"""

import logging
import os
import time
from pathlib import Path

VARIABLE = "PLANNER_VLLM_PROGRESS"
"""In the environment of a worker's processes: the file that they add lines to."""

_ENDS = (
    ("Initializing a V1 LLM engine", "spawn"),
    ("Loading weights took", "weights"),
    ("Model loading took", "weights"),
    ("init engine (", "compile"),
)
"""What the last line of a stage begins with, in vLLM 0.32.0.

"spawn" is the engine's process and its imports, "compile" is all that follows the weights:
profiling, KV cache, compilation, graph capture.
"""


class _Notes(logging.Handler):
    """Notes the moment of each line that ends a stage; the clock is the machine's."""

    def __init__(self, path: Path) -> None:
        super().__init__(logging.INFO)
        self._path = path

    def emit(self, record: logging.LogRecord) -> None:
        stage = next((stage for begin, stage in _ENDS if str(record.msg).startswith(begin)), None)
        if stage is not None:
            with self._path.open("a", encoding="ascii") as file:
                file.write(f"{stage} {time.monotonic()}\n")


def note_progress() -> None:
    """Let this process tell its worker how far it has come, if that wants to know."""
    path = os.environ.get(VARIABLE)
    if path is not None:
        logging.getLogger("vllm").addHandler(_Notes(Path(path)))


def read_progress(path: Path) -> dict[str, float]:
    """Return when each stage ended in the last process to end it, on the monotonic clock."""
    found: dict[str, float] = {}
    for line in path.read_text(encoding="ascii").splitlines():
        stage, _, at = line.partition(" ")
        found[stage] = max(float(at), found.get(stage, 0.0))
    return dict(sorted(found.items(), key=lambda each: each[1]))
