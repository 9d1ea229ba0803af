"""However the comparison of policies ends, none of its processes stays behind."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[3]
PROCESSES = 2


def within(seconds: float, is_so: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while not is_so() and time.monotonic() < until:
        time.sleep(0.05)
    return is_so()


@pytest.fixture
def comparison(tmp_path: Path) -> Iterator[psutil.Popen]:
    """Start the comparison on the load that needs no recording, with results of its own."""
    copy = tmp_path / "benchmarks" / "planning"
    shutil.copytree(ROOT / "benchmarks" / "planning", copy)
    command = [sys.executable, str(copy), "--short", "--loads", "sine"]
    command += ["--processes", str(PROCESSES)]
    process = psutil.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    yield process
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGINT, 130, id="Ctrl-C"),
        pytest.param(signal.SIGTERM, 130, id="SIGTERM"),
        pytest.param(signal.SIGKILL, -signal.SIGKILL, id="SIGKILL"),
    ],
)
def test_no_process_stays(comparison, number, code):
    assert within(30, lambda: len(comparison.children()) == PROCESSES)
    workers = comparison.children()
    comparison.send_signal(number)
    assert comparison.wait(timeout=20) == code
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []
    if code == 130:
        assert comparison.stdout.read() == "stopped; --resume goes on from here\n"
