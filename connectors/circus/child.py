"""`python -m connectors.circus.child COMMAND...` becomes COMMAND, which ends with its supervisor.

A server of another make knows nothing of a supervisor: the kernel tells it that it has ended.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def _main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before the kernel was told
        sys.exit(1)
    try:
        os.execvp(command[0], command)  # noqa: S606 - what the fleet's description says
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    _main()
