"""How a process of the deployment starts and ends.

``python -m runtime.process -- COMMAND...`` runs a program that dies with its supervisor. It starts
often and must start fast: asyncio is imported by those that need it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable


def die_with_parent(parent: int | None = None) -> None:
    """Have the kernel end this process when its parent ends (Linux; elsewhere nothing happens).

    *parent* is the process id it should have, where the caller knows it. Exits at once when the
    parent is gone already.
    """
    raise NotImplementedError


def run_process(main: "Callable[[asyncio.Event], Awaitable[int | None]]") -> int:
    """Run *main* until it returns and return its exit code (0 for None).

    The event is set by SIGTERM or SIGINT: drain and return. A second signal exits at once with
    128 + its number.
    """
    raise NotImplementedError
