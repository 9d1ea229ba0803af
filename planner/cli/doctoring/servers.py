"""etcd and nats-server: which they are, and whether they start."""

import asyncio
import contextlib
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from planner.cli.doctoring.finding import Finding, failed, ok
from planner.core.units import format_duration
from runtime.errors import RuntimeFault, ServerUnavailable
from runtime.servers import (
    LOOPBACK,
    etcd_command,
    find_program,
    free_port,
    nats_command,
    wait_port,
)

_INSTALL = "pip install 'planner[local]'"
_START_SECONDS = 5.0
_END_SECONDS = 2.0


async def servers() -> Sequence[Finding]:
    """Return what is found of both servers, started side by side on data of their own."""
    return await asyncio.gather(
        _server("etcd", lambda folder, port: etcd_command(
            data_dir=folder, client_port=port, peer_port=free_port()
        )),
        _server("nats-server", lambda folder, port: nats_command(data_dir=folder, port=port)),
    )  # fmt: skip


async def _server(name: str, command: Callable[[Path, int], list[str]]) -> Finding:
    try:
        program = find_program(name)
    except ServerUnavailable:
        return failed(name, "not installed", _INSTALL)
    try:
        version, seconds = await asyncio.gather(_version(program), _start(command))
    except (RuntimeFault, OSError) as error:
        return failed(name, f"{program} does not start: {error}", _INSTALL)
    return ok(name, f"{version}, starts in {format_duration(round(seconds, 2))}")


async def _version(program: str) -> str:
    """Return the version in the first line that *program* says of it."""
    async with _running([program, "--version"], output=PIPE) as process:
        async with asyncio.timeout(_START_SECONDS):
            said, _ = await process.communicate()
    first = said.decode(errors="replace").partition("\n")[0]
    return first.rpartition(" ")[2].removeprefix("v") or "unknown version"


async def _start(command: Callable[[Path, int], list[str]]) -> float:
    """Return the seconds until it listens. Raises ServerUnavailable."""
    with tempfile.TemporaryDirectory(prefix="planner-doctor-") as folder:
        port, began = free_port(), time.monotonic()
        async with _running(command(Path(folder), port), output=DEVNULL):
            await wait_port(LOOPBACK, port, timeout=_START_SECONDS)
            return time.monotonic() - began


@asynccontextmanager
async def _running(command: list[str], *, output: int) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(*command, stdout=output, stderr=DEVNULL)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _END_SECONDS)
        if process.returncode is None:
            process.kill()
            await process.wait()
