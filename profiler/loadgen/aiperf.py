"""aiperf as the load generator: a program in an environment of its own, never imported."""

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from planner.errors import ProfileError
from profiler.exchange.aiperf import AiperfRun, read_run
from profiler.ports import Disturbed, MeasuringFailed

_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
"""With either set, aiperf takes a tokenizer's folder for a name and refuses it."""
_END_SECONDS = 10.0
_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class AiperfLoad:
    """*requests* of *isl* tokens in and *osl* out, *concurrency* at a time."""

    isl: int
    osl: int
    concurrency: int
    requests: int
    seed: int
    """Another seed draws other prompts, which no cache knows."""


class AiperfProcess:
    """One run under way."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self._process = process
        self._folder = folder

    def check(self) -> None:
        """Raise MeasuringFailed when it has ended."""
        if self._process.returncode == 0:
            raise Disturbed("aiperf was through while its batch was still being measured")
        if self._process.returncode is not None:
            raise MeasuringFailed(f"aiperf ended too early: {self._said()}")

    async def finish(self) -> AiperfRun:
        """Return its result once it has ended. Raises MeasuringFailed for one without."""
        if await self._process.wait() != 0:
            raise MeasuringFailed(f"aiperf ended with {self._process.returncode}: {self._said()}")
        try:
            return read_run(self._folder / "result")
        except ProfileError as error:
            raise MeasuringFailed(str(error)) from error

    def _said(self) -> str:
        text = (self._folder / "log").read_bytes()[-_TAIL_BYTES:].decode(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1] if lines else "it said nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Aiperf:
    """How aiperf is run: *command* starts it, *tokenizer* is the model's folder."""

    command: tuple[str, ...]
    url: str
    model: str
    tokenizer: Path
    request_seconds: float = 600.0

    @asynccontextmanager
    async def run(self, load: AiperfLoad) -> AsyncIterator[AiperfProcess]:
        """Yield a run of *load*; leaving the block ends it with everything that it started."""
        with tempfile.TemporaryDirectory(prefix="planner-aiperf-") as name:
            folder = Path(name)
            with (folder / "log").open("wb") as log:
                process = await asyncio.create_subprocess_exec(
                    *self.command, *self._arguments(load, folder / "result"),
                    env=_environment(folder), stdin=asyncio.subprocess.DEVNULL,
                    stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
            try:
                yield AiperfProcess(process, folder)
            finally:
                await _end(process)

    def _arguments(self, load: AiperfLoad, folder: Path) -> list[str]:
        return [
            *("profile", "--model", self.model, "--tokenizer", str(self.tokenizer)),
            *("--endpoint-type", "completions", "--streaming", "--url", self.url),
            *("--isl", str(load.isl), "--isl-stddev", "0", "--osl", str(load.osl)),
            *("--osl-stddev", "0", "--extra-inputs", f"max_tokens:{load.osl}"),
            *("--extra-inputs", f"min_tokens:{load.osl}", "--extra-inputs", "ignore_eos:true"),
            *("--concurrency", str(load.concurrency), "--request-count", str(load.requests)),
            *("--num-dataset-entries", str(load.requests), "--random-seed", str(load.seed)),
            *("--request-timeout-seconds", f"{self.request_seconds:g}", "--ui", "none"),
            *("--no-gpu-telemetry", "--no-server-metrics", "--use-server-token-count"),
            *("--artifact-dir", str(folder)),
        ]


def _environment(folder: Path) -> Mapping[str, str]:
    """Return the process's own variables, with a home that aiperf may write to."""
    kept = {name: value for name, value in os.environ.items() if name not in _OFFLINE}
    for name in ("home", "tmp"):
        (folder / name).mkdir()
    return {**kept, "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")}


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the run's whole session: aiperf is many processes."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END_SECONDS):
                await process.wait()
                return
