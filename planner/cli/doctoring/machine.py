"""The machine: system, Python, memory, disk and the port for users."""

import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from planner.cli.doctoring.finding import Finding, failed, ok
from workers.memory import available_memory

_LOOPBACK = "127.0.0.1"
_OLDEST, _NEWEST = (3, 11), (3, 13)
_LEAST_MEMORY = 1_000_000_000
_LEAST_DISK = 500_000_000


def machine(state: Path, *, port: int | None) -> Iterator[Finding]:
    """Yield what is found of the machine; *port* is the frontend's, None where it may be taken."""
    yield system(platform.system())
    yield python(sys.version_info[:2])
    yield memory(available_memory())
    yield disk(state)
    if port is not None:
        yield free_port(port)


def system(name: str) -> Finding:
    """Return whether deployments can be supervised on this system."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    told = f"{name} {platform.release()}, {platform.machine()}, {cores} cores"
    if name != "Linux":
        return failed("system", told, "planner serve needs Linux; planner simulate does not")
    return ok("system", told)


def python(version: tuple[int, ...]) -> Finding:
    """Return whether this Python is one of the supported ones."""
    told = ".".join(map(str, version))
    if not _OLDEST <= version <= _NEWEST:
        return failed("python", told, "make PYTHON=python3.11 setup: 3.11 to 3.13 are supported")
    return ok("python", f"{platform.python_version()} at {sys.executable}")


def memory(free: int | None) -> Finding:
    """Return whether *free* bytes are enough for a simulated deployment."""
    if free is None:
        return ok("memory", "this system does not tell")
    if free < _LEAST_MEMORY:
        return failed("memory", f"{_gigabytes(free)} free", "end something: 1 GB is needed")
    return ok("memory", f"{_gigabytes(free)} free")


def disk(state: Path) -> Finding:
    """Return whether *state* can be written to, with room for data, logs and a journal."""
    existing = next(path for path in (state, *state.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        return failed("disk", f"{existing} cannot be written to", "--state-dir DIR")
    free = shutil.disk_usage(existing).free
    told = f"{_gigabytes(free)} free for {state}"
    if free < _LEAST_DISK:
        return failed("disk", told, "--state-dir DIR where 0.5 GB are free")
    return ok("disk", told)


def free_port(port: int) -> Finding:
    """Return whether a frontend could listen on *port*."""
    name = f"port {port}"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except OSError as error:
            told = (error.strerror or str(error)).lower()
            return failed(name, told, "planner serve --http-port 0 takes a free one")
    return ok(name, "free for the frontend")


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
