"""A worker that is asked to end while it loads, and arguments that vLLM itself refuses."""

import asyncio
import signal

import pytest

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]

START_SECONDS = 120.0


async def test_a_worker_that_still_loads_ends_when_it_is_asked_to(deployment):
    worker = await deployment.start("aggregated")
    async with asyncio.timeout(START_SECONDS):
        while "stage=imports" not in worker.log.read_text():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)
    await asyncio.sleep(3)  # its engine is being started
    assert await deployment.end(worker, signal.SIGTERM) == 0


async def test_an_argument_that_vllm_does_not_know_is_one_line_and_exit_code_2(deployment):
    worker = await deployment.start("aggregated", engine=("--no-such-argument", "5"))
    assert await asyncio.wait_for(worker.process.wait(), START_SECONDS) == 2
    (line,) = [each for each in worker.log.read_text().splitlines() if "not started" in each]
    assert "--no-such-argument" in line
    assert "Traceback" not in worker.log.read_text()
