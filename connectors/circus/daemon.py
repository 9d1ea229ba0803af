"""Starts the supervisor: `python -m connectors.circus.daemon FILE.ini` is circusd, and mortal.

circusd sometimes loses a SIGTERM (its one lock is taken at that moment), so with the variable
PLANNER_DIE_WITH it is killed when that parent ends; its children notice by themselves.
"""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from connectors.circus.processes import listener
from planner.errors import PlannerError

_DIE_WITH = "PLANNER_DIE_WITH"
_PR_SET_PDEATHSIG = 1
_LONGEST_SOCKET = 100  # the kernel takes 107 bytes, ZeroMQ a few less

# An empty multicast_endpoint: circus would answer discovery requests from the network otherwise.
_INI = """\
[circus]
endpoint = {endpoint}
pubsub_endpoint = ipc://{directory}/events
multicast_endpoint =
umask = 077
check_delay = 0.5
loglevel = WARNING
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """A supervisor that runs: its process and where it is talked to."""

    process: subprocess.Popen[bytes]
    endpoint: str


def socket_directory(state: Path) -> Path:
    """Create and return a folder for sockets that only this user can enter.

    It lies in *state* unless a socket's path there would be longer than the kernel allows.
    """
    near = state.resolve() / "run"
    if len(os.fsencode(near / "circus")) > _LONGEST_SOCKET:
        return Path(tempfile.mkdtemp(prefix="planner-"))
    near.mkdir(mode=0o700, parents=True, exist_ok=True)
    near.chmod(0o700)
    return near


def start_daemon(
    directory: Path, *, log: Path, detach: bool = False, keep_open: Sequence[int] = ()
) -> Daemon:
    """Start a supervisor with its sockets in *directory*.

    Unless *detach*, it dies with this process. *keep_open* are file descriptors that it holds for
    as long as it lives.
    """
    endpoint = f"ipc://{directory}/circus"
    ini = directory / "circus.ini"
    ini.write_text(_INI.format(endpoint=endpoint, directory=directory))
    env = {name: value for name, value in os.environ.items() if name != _DIE_WITH}
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "connectors.circus.daemon", str(ini)],
            env=env if detach else {**env, _DIE_WITH: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=keep_open,
            start_new_session=True,  # a Ctrl-C in the terminal is the parent's to handle
        )
    return Daemon(process=process, endpoint=endpoint)


async def wait_daemon(daemon: Daemon, *, timeout: float, log: Path) -> None:
    """Return once the supervisor listens. Raises PlannerError when it does not or has ended."""
    deadline = time.monotonic() + timeout
    path = Path(daemon.endpoint.removeprefix("ipc://"))
    while listener(path) != daemon.process.pid:
        if daemon.process.poll() is not None or time.monotonic() > deadline:
            raise PlannerError(f"the supervisor did not start in {timeout:g} s", hint=f"see {log}")
        await asyncio.sleep(0.02)


def _die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the kernel was told
        sys.exit(1)


def _main() -> None:
    parent = os.environ.pop(_DIE_WITH, None)
    if parent is not None:
        _die_with(int(parent))
    from circus.circusd import main

    main()


if __name__ == "__main__":
    _main()
