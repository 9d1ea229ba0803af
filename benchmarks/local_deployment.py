"""A deployment of `planner serve` for the time of a benchmark."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

_READY_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A deployment that answers: *spec* is its deployment.json, *ready_seconds* its start-up."""

    state: Path
    spec: dict[str, Any]
    ready_seconds: float
    supervisor: psutil.Process

    def process(self, part: str) -> psutil.Process:
        """Return the process whose command line has *part* in it."""
        for child in self.supervisor.children(recursive=True):
            if part in " ".join(child.cmdline()):
                return child
        raise LookupError(f"no process of the deployment runs {part}")


@contextmanager
def serving(*options: str) -> Iterator[Running]:
    """Run `planner serve` with *options*, from the call to the first answer and to its end."""
    with tempfile.TemporaryDirectory(prefix="planner-bench-") as folder:
        command = [sys.executable, "-m", "planner", "serve", "--state-dir", folder, *options]
        began = time.perf_counter()
        serve = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            spec = _wait_ready(serve, Path(folder))
            yield Running(
                state=Path(folder),
                spec=spec,
                ready_seconds=time.perf_counter() - began,
                supervisor=psutil.Process(serve.pid),
            )
        finally:
            os.kill(serve.pid, signal.SIGINT)
            serve.wait(timeout=60)


def _wait_ready(serve: "subprocess.Popen[bytes]", state: Path) -> dict[str, Any]:
    """Return the spec of the deployment once `planner status` calls it ready."""
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and serve.poll() is None:
        path = state / "deployment.json"
        if path.exists():
            spec: dict[str, Any] = json.loads(path.read_text())
            if _answers(spec["frontend_url"]):
                return spec
        time.sleep(0.02)
    raise RuntimeError(f"planner serve did not answer within {_READY_SECONDS:g} s")


def _answers(url: str) -> bool:
    """Return whether the frontend lists a model that can be used."""
    from urllib.request import urlopen

    try:
        with urlopen(f"{url}/v1/models", timeout=1) as response:
            return bool(json.load(response)["data"])
    except (OSError, ValueError, KeyError):
        return False
