"""A real Prometheus of a test's own, and promtool; both come with Debian's package prometheus."""

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from runtime.servers import LOOPBACK, free_port

MISSING = "no prometheus: apt-get install prometheus"
_START_SECONDS = 30.0
_PATIENCE_SECONDS = 30.0
_POLL_SECONDS = 0.1

Config = Mapping[str, Any]
"""What prometheus.yml holds."""


def find_prometheus() -> str | None:
    """Return the server of this machine."""
    return shutil.which("prometheus")


def find_promtool() -> str | None:
    """Return the checker of rules and configurations of this machine."""
    return shutil.which("promtool")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One element of an instant vector. NaN is a value: what is missing is not there at all."""

    labels: Mapping[str, str]
    value: float


def scraping(
    jobs: Mapping[str, Sequence[str]],
    *,
    rules: Iterable[Path] = (),
    interval: float = 1.0,
) -> Config:
    """Return a configuration that scrapes *jobs*, host:port addresses by name of the job.

    Rules are evaluated as often as targets are scraped: every *interval* seconds.
    """
    every = f"{round(interval * 1e3)}ms"
    return {
        "global": {"scrape_interval": every, "evaluation_interval": every},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": list(addresses)}]}
            for job, addresses in jobs.items()
        ],
    }


class Prometheus:
    """A running server at *url*."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    async def get(self, path: str, **params: str) -> Any:
        """Return the data of an answer of the API below /api/v1; a refused query fails the test."""
        async with self._session.get(f"{self.url}/api/v1/{path}", params=params) as response:
            answer = await response.json()
        assert answer["status"] == "success", f"{params}: {answer.get('error')}"
        return answer["data"]

    async def query(self, expression: str) -> list[Sample]:
        """Return what *expression*, a vector or a scalar, comes to at the present moment."""
        data = await self.get("query", query=expression)
        if data["resultType"] == "scalar":
            return [Sample(labels={}, value=float(data["result"][1]))]
        return [
            Sample(labels=found["metric"], value=float(found["value"][1]))
            for found in data["result"]
        ]

    async def until(self, expression: str, *, seconds: float = _PATIENCE_SECONDS) -> list[Sample]:
        """Return what *expression* comes to, once that is anything."""
        try:
            async with asyncio.timeout(seconds):
                while not (found := await self.query(expression)):  # noqa: ASYNC110 - polls
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            up = {sample.labels["instance"]: sample.value for sample in await self.query("up")}
            raise AssertionError(f"nothing after {seconds:g} s: {expression}; up: {up}") from None
        return found


@asynccontextmanager
async def running_prometheus(folder: Path, config: Config) -> AsyncIterator[Prometheus]:
    """Yield a server of its own that is ready, on a free port with its data in *folder*.

    It ends with the block, and with this process however that ends.
    """
    port, told = free_port(), folder / "prometheus.log"
    command = _command(folder, config, port=port)
    with told.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "runtime.process", "--parent", str(os.getpid()), "--"),
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        async with aiohttp.ClientSession() as session:
            url = f"http://{LOOPBACK}:{port}"
            await _ready(session, url, process, told)
            yield Prometheus(url, session)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)  # nobody reads its data again
        await process.wait()


def _command(folder: Path, config: Config, *, port: int) -> list[str]:
    program = find_prometheus()
    assert program is not None, MISSING
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "prometheus.json"
    file.write_text(json.dumps(config))  # JSON is YAML
    return [
        program,
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={LOOPBACK}:{port}",
        "--log.level=warn",
    ]


async def _ready(
    session: aiohttp.ClientSession, url: str, process: asyncio.subprocess.Process, log: Path
) -> None:
    async with asyncio.timeout(_START_SECONDS):
        while not await _answers(session, f"{url}/-/ready"):
            assert process.returncode is None, await asyncio.to_thread(log.read_text)
            await asyncio.sleep(_POLL_SECONDS)


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.ok
    except aiohttp.ClientError:
        return False
