"""How a process of the deployment starts and ends.

``python -m runtime.process [--parent PID] -- COMMAND...`` becomes a program that dies with its
supervisor. It starts often and must start fast: asyncio is imported by what needs it.
"""

import ctypes
import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

_PR_SET_PDEATHSIG = 1
_USAGE = "usage: python -m runtime.process [--parent PID] -- COMMAND [ARGUMENT...]"


def die_with_parent(parent: int | None = None) -> None:
    """Have the kernel end this process when its parent ends (Linux; elsewhere nothing happens).

    *parent* is the process id of the parent, where the caller knows it. Exits at once when that
    parent is gone already. The signal is SIGTERM, so that the process can still drain.
    """
    expected = os.getppid() if parent is None else parent
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != expected:  # it died before the kernel knew that we care
        sys.exit(1)


def run_process(main: "Callable[[asyncio.Event], Awaitable[int | None]]") -> int:
    """Run *main* until it returns and return its exit code (0 for None).

    The event is set by SIGTERM or SIGINT: drain and return. A second signal exits at once with
    128 + its number. The loop is uvloop's where that is installed.
    """
    import asyncio

    async def guarded() -> int:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def stop_then_exit(number: int) -> None:
            if stop.is_set():
                os._exit(128 + number)
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop_then_exit, number)
        return await main(stop) or 0

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(guarded())


def _loop_factory() -> "Callable[[], asyncio.AbstractEventLoop] | None":
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _launch(arguments: list[str]) -> int:
    parent = None
    if len(arguments) >= 2 and arguments[0] == "--parent" and arguments[1].isdecimal():
        parent = int(arguments[1])
        arguments = arguments[2:]
    if len(arguments) < 2 or arguments[0] != "--":
        print(_USAGE, file=sys.stderr)  # noqa: T201 - this is a program
        return 2
    die_with_parent(parent)
    command = arguments[1:]
    try:
        os.execvp(command[0], command)  # noqa: S606 - the caller's own command
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 127


if __name__ == "__main__":
    sys.exit(_launch(sys.argv[1:]))
