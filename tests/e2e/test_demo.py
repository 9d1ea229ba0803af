"""`make demo`, shortened: the whole product serves, scales and reports, and leaves nothing."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import DEVNULL
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

DEMO = Path(__file__).parents[2] / "examples/demo/demo.py"
FIGURES = {
    "requests", "completed", "failed", "attainment", "ttft_ms", "itl_ms", "gpu_seconds",
    "gpu_seconds_static_peak", "replicas", "scale_actions",
}  # fmt: skip


async def start(machine, out: Path, *, seconds: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, str(DEMO), "--seconds", str(seconds), "--out", str(out)),
        env=machine.environment, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL,
    )  # fmt: skip


async def test_every_request_is_answered_and_both_reports_are_written(machine, tmp_path):
    out = tmp_path / "report.json"
    demo = await start(machine, out, seconds=60)
    assert await asyncio.wait_for(demo.wait(), 150) == 0
    found = json.loads(out.read_text())
    assert set(found) >= FIGURES
    assert (found["failed"], found["completed"]) == (0, found["requests"])
    assert found["requests"] > 100
    assert found["scale_actions"] > 0
    assert set(found["replicas"]) == {"prefill", "decode"}
    assert out.with_suffix(".svg").read_text().startswith("<svg")
    await machine.until_empty()


@pytest.mark.parametrize("seconds", [1.0, 8.0], ids=["while it starts", "under load"])
async def test_ctrl_c_leaves_no_process(machine, tmp_path, seconds):
    demo = await start(machine, tmp_path / "report.json", seconds=40)
    await asyncio.sleep(seconds)  # the moment is what is tested
    demo.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(demo.wait(), 60) in (130, -signal.SIGINT)
    await machine.until_empty()
