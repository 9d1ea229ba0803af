"""The circus supervisor's wire, as far as a fleet needs it. Speaks JSON over a ZeroMQ socket.

circus' own client blocks and has no retries; this one runs on asyncio and knows which refusals
pass by themselves.
"""

import asyncio
import json
import shlex
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import zmq
import zmq.asyncio

from connectors.circus.processes import INSTANCE, Child, children, listener
from planner.errors import PlannerError

_BUSY = "arbiter is already running"
_SHORTEST_PAUSE = 0.01
_LONGEST_PAUSE = 0.3
# The log is the shell's $0, so that the process is the program itself, under its own pid.
_LOGGED = 'exec "$@" >>"$0" 2>&1'


class SupervisorAway(PlannerError):
    """Nobody answers at the supervisor's endpoint."""


class SupervisorRefused(PlannerError):
    """The supervisor answered, and did not do what it was asked for."""


class CircusClient:
    """Talks to the circusd that listens on the unix socket *endpoint* (``ipc://...``)."""

    def __init__(self, endpoint: str, *, timeout: float = 5.0, patience: float = 30.0) -> None:
        self._endpoint = endpoint
        self._timeout = timeout
        self._patience = patience
        self._context = zmq.asyncio.Context()

    def pid(self) -> int:
        """The supervisor's process id. Raises SupervisorAway when nobody listens."""
        pid = listener(Path(self._endpoint.removeprefix("ipc://")))
        if pid is None:
            raise SupervisorAway(f"no supervisor listens on {self._endpoint}")
        return pid

    def children(self) -> Sequence[Child]:
        """The living processes that it started. Raises SupervisorAway."""
        return children(self.pid())

    async def names(self) -> set[str]:
        """Return the names of all watchers. Raises SupervisorAway."""
        return set((await self.call("list"))["watchers"])

    async def environment(self, name: str) -> Mapping[str, str]:
        """Return the variables that the watcher *name* starts its process with."""
        reply = await self.call("get", name=name, keys=["env"])
        return dict(reply["options"]["env"])

    async def add(
        self, name: str, command: Sequence[str], *, log: Path, env: Mapping[str, str]
    ) -> None:
        """Start *command* under a watcher of its own, which starts it again when it ends.

        Output is appended to *log*. Adding what is there already is fine: an earlier answer may
        have been lost.
        """
        logged = ["/bin/sh", "-c", _LOGGED, str(log), *command]
        try:
            await self.call(
                "add",
                name=name,
                cmd=shlex.join(logged),
                start=True,
                waiting=True,
                options={
                    "env": {**env, INSTANCE: name},
                    "copy_env": True,
                    "singleton": True,
                    "numprocesses": 1,
                    "respawn": True,
                },
            )
        except SupervisorRefused:
            if name not in await self.names():
                raise

    async def forget(self, name: str) -> None:
        """Remove the watcher *name* and leave its process running, to end on its own.

        A watcher that waits for its process' end would hold circus' one lock all the while: no
        adding, no healing of others. Forgetting what is not there is fine.
        """
        try:
            await self.call("rm", name=name, nostop=True, waiting=True)
        except SupervisorRefused:
            if name in await self.names():
                raise

    async def call(self, command: str, **properties: object) -> dict[str, Any]:
        """Return the reply to *command*, tried again for as long as circus is merely busy.

        Raises SupervisorAway when nobody answers and SupervisorRefused for every other refusal.
        """
        deadline, pause = time.monotonic() + self._patience, _SHORTEST_PAUSE
        while True:
            reply = await self._ask(command, properties)
            reason = str(reply.get("reason", ""))
            if reply.get("status") == "ok":
                return reply
            if not reason.startswith(_BUSY) or time.monotonic() > deadline:
                raise SupervisorRefused(f"{command}: {reason.splitlines()[0] if reason else reply}")
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def close(self) -> None:
        """Release the sockets."""
        self._context.destroy(linger=0)

    async def _ask(self, command: str, properties: Mapping[str, object]) -> dict[str, Any]:
        self.pid()  # ZeroMQ would wait for a listener without a word
        request = {"id": uuid.uuid4().hex, "command": command, "properties": properties}
        with self._context.socket(zmq.DEALER) as socket:
            socket.linger = 0
            socket.connect(self._endpoint)
            await socket.send(json.dumps(request).encode())
            try:
                answer = await asyncio.wait_for(socket.recv(), self._timeout)
            except TimeoutError:
                message = f"the supervisor did not answer {command} in {self._timeout:g} s"
                raise SupervisorAway(message) from None
        reply: dict[str, Any] = json.loads(answer)
        return reply
