"""How a process of the deployment leaves: forgotten by circus, asked to finish, killed if it won't.

All of it happens outside circus, whose one lock a slow ending would hold.
"""

import asyncio
import os
import signal
from collections.abc import Sequence

from connectors.circus.client import CircusClient
from connectors.circus.processes import send


async def begin_drain(client: CircusClient, name: str) -> Sequence[int]:
    """Ask the process under the watcher *name* to finish; return the ids of what will end.

    Nothing starts it again. Raises SupervisorAway or SupervisorRefused.
    """
    await client.forget(name)
    pids = [child.pid for child in client.children() if child.name == name]
    for pid in pids:
        send(pid, signal.SIGTERM)
    return pids


async def see_out(pid: int, *, seconds: float | None) -> bool:
    """Return once *pid* has ended: True if by itself, False if it was killed after *seconds*.

    With None it is never killed.
    """
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        async with asyncio.timeout(seconds):
            await _ended(process)
    except TimeoutError:
        signal.pidfd_send_signal(process, signal.SIGKILL)
        await _ended(process)
        return False
    finally:
        os.close(process)
    return True


async def _ended(process: int) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(process, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(process)
