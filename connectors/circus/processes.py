"""What the operating system knows of the supervisor's children (Linux).

A drained replica is no longer the supervisor's business, only its child: who still runs is read
from /proc, by the name that each child carries in its environment.
"""

import contextlib
import os
import signal
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

INSTANCE = "PLANNER_INSTANCE"
"""The variable that holds a child's name."""
DEVICES = "CUDA_VISIBLE_DEVICES"
_PROC = Path("/proc")
_EXEC_PAUSE_SECONDS = 0.001
_EXEC_LOOKS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A living child of the supervisor: its instance name and the GPUs it may use."""

    pid: int
    name: str
    gpus: tuple[str, ...]


def listener(path: Path) -> int | None:
    """Return the id of the process that listens on the unix socket *path*, or None."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
            credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        except OSError:
            return None
    pid: int = struct.unpack("iII", credentials)[0]
    return pid


def children(parent: int) -> Sequence[Child]:
    """Return the living children of *parent* that carry a name."""
    try:
        pids = (_PROC / f"{parent}/task/{parent}/children").read_text().split()
    except OSError:
        return ()
    found = (_child(int(pid)) for pid in pids)
    return [child for child in found if child is not None and is_alive(child.pid)]


def is_alive(pid: int) -> bool:
    """Return whether *pid* runs; a zombie does not."""
    try:
        status = (_PROC / f"{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal; a process that is gone already is fine."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def visible_gpus(environment: str | None) -> tuple[str, ...]:
    """Return the GPUs in a value of CUDA_VISIBLE_DEVICES; none where it is not set."""
    return tuple(gpu for gpu in (environment or "").split(",") if gpu)


def _child(pid: int) -> Child | None:
    pairs = (item.partition("=") for item in _environment(pid).split("\0"))
    variables = {name: value for name, _, value in pairs}
    name = variables.get(INSTANCE)
    if name is None:
        return None
    return Child(pid=pid, name=name, gpus=visible_gpus(variables.get(DEVICES)))


def _environment(pid: int) -> str:
    """Return the variables of *pid* as the kernel lists them; nothing if it is gone.

    A process that is just exchanging one program for another shows none for a moment: a replica
    on its way from its shell to its program must not be taken for nobody's.
    """
    for _ in range(_EXEC_LOOKS):
        try:
            raw = (_PROC / f"{pid}/environ").read_bytes()
        except OSError:
            return ""
        if raw or not is_alive(pid):
            return raw.decode(errors="replace")
        time.sleep(_EXEC_PAUSE_SECONDS)
    return ""
