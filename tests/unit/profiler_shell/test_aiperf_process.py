"""A run of aiperf that ends while its batch is looked at: through, or broken."""

import asyncio
import sys
from pathlib import Path

import pytest

from profiler.loadgen.aiperf import AiperfProcess
from profiler.ports import Disturbed, MeasuringFailed


async def ended(folder: Path, code: int) -> AiperfProcess:
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", f"print('out of files'); raise SystemExit({code})", stdout=log
        )
    await process.wait()
    return AiperfProcess(process, folder)


async def test_a_run_that_was_through_too_early_may_be_run_again(tmp_path) -> None:
    with pytest.raises(Disturbed, match="through"):
        (await ended(tmp_path, 0)).check()


async def test_a_run_that_broke_is_a_failure_with_its_last_word(tmp_path) -> None:
    with pytest.raises(MeasuringFailed, match="too early: out of files") as raised:
        (await ended(tmp_path, 1)).check()
    assert not isinstance(raised.value, Disturbed)
