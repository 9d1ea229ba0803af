"""Containers as processes: what an image would start, each on a loopback address of its own.

So the ports of a file stay as they are, and several deployments run side by side.
"""

import asyncio
import os
import random
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_BESIDE = Path(sys.executable).parent
_EVERYWHERE = ("0.0.0.0", "127.0.0.1")


def addresses(names: Sequence[str]) -> Mapping[str, str]:
    """Return a loopback address for each of *names* that nobody else is likely to have."""
    first, second = random.randint(1, 250), random.randint(1, 250)
    return {name: f"127.{first}.{second}.{number}" for number, name in enumerate(names, 1)}


@dataclass
class Container:
    """A process that takes *address* for its own, and knows *hosts* by their names.

    *folders* are where its volumes are, by the path at which it would find each.
    """

    name: str
    command: Sequence[str]
    address: str
    hosts: Mapping[str, str]
    folders: Mapping[str, Path]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    process: Process | None = None

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.words(self.command), env=self.environment,
                stdin=DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    async def ask(self, command: Sequence[str]) -> int:
        """Return the exit code of *command*, run beside it as a health check is."""
        asked = await asyncio.create_subprocess_exec(
            *self.words(command), env=self.environment, stdout=DEVNULL, stderr=DEVNULL
        )
        return await asked.wait()

    async def stop(self) -> int:
        """Return its exit code after SIGTERM."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return await self.process.wait()

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            await self.process.wait()

    @property
    def environment(self) -> dict[str, str]:
        path = f"{_BESIDE}:{os.environ['PATH']}"
        home = str(self.log.parent)
        given = {name: self.text(value) for name, value in self.env.items()}
        return {"PATH": path, "HOME": home, "HOSTNAME": self.address, **given}

    def words(self, command: Sequence[str]) -> list[str]:
        return [self.text(word) for word in command]

    def text(self, word: str) -> str:
        """Return *word* with this place's addresses and folders in it."""
        for path, folder in self.folders.items():
            word = re.sub(rf"(?<![\w/]){re.escape(path)}(?=/|$)", str(folder), word)
        for address in _EVERYWHERE:
            word = word.replace(address, self.address)
        for host in sorted(self.hosts, key=len, reverse=True):
            place = rf"((?://|host=){re.escape(host)})(?=[:/,]|$)"
            word = re.sub(place, lambda m, host=host: m[1].replace(host, self.hosts[host]), word)
        return word
