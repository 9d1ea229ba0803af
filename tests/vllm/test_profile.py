"""`planner profile` of real engines, and a look at them again where it did not look."""

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest

from planner.cli.profiling.engines import Vllm
from planner.cli.profiling.rig import LocalRig
from planner.core.profile import DecodePoint, Parallelism, Profile
from profiler.effort import Effort
from profiler.record import DecodeAsk, PrefillAsk
from profiler.sweep.bench import Bench

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]

ROOT = Path(__file__).parents[2]
ENGINE = ("--max-model-len", "2048", "--max-num-seqs", "16", "--kv-cache-memory-bytes", "64M",
          "--block-size", "32")  # fmt: skip
PARALLELISMS = (Parallelism(tp=1), Parallelism(tp=2))
SWEEP_SECONDS = 12 * 60.0
# Between the loads of a sweep for 300 tokens in and 60 out, and none of them.
PROMPTS = (190, 450, 640, 1250, 1700)
BATCHES = ((3, 350), (4, 1100), (8, 240), (11, 700), (13, 1500))
MOST_OFF = 0.15


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Relative errors, with their signs."""

    ttft: list[float]
    itl: list[float]


async def profiled(model: Path, folder: Path) -> tuple[int, str]:
    """Run the command in *folder*; return its exit code and what it said."""
    arguments = [
        *("--engine", "vllm", "--model", str(model), "--max-gpus", "2", "--budget", "10m"),
        *("--isl", "300", "--osl", "60", "--sla", "ttft=200ms,itl=30ms"),
        *("--points", str(folder / "points"), "--out", str(folder / "found.json"), "-o", "json"),
    ]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "planner", "profile", *arguments, "--", *ENGINE),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    try:
        out, err = await asyncio.wait_for(process.communicate(), SWEEP_SECONDS)
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)  # its engines end with it
        await process.wait()
        pytest.fail(f"no profile within {SWEEP_SECONDS:g} s")
    sys.stdout.write(err.decode())
    assert process.returncode is not None
    return process.returncode, out.decode()


async def looked_at(
    rig: LocalRig, profile: Profile, parallelism: Parallelism
) -> tuple[Errors, Errors]:
    """Return how far the profile is from what a new engine does, and its own points from it."""
    entry = profile.at(parallelism)
    bench = Bench(rig, parallelism, Effort())

    async def prompt(isl: int) -> float:
        record = await bench.measure(PrefillAsk(isl=isl), before=())
        point = record.prefill_point
        assert point is not None, record.failure
        return point.ttft_seconds

    async def batch(concurrency: int, context: int) -> DecodePoint:
        ask = DecodeAsk(concurrency=concurrency, context=context)
        record = await bench.measure(ask, before=())
        point = record.decode_point
        assert point is not None, record.failure
        return point

    try:
        again = Errors(
            ttft=[p.ttft_seconds / await prompt(p.isl) - 1 for p in entry.prefill_points],
            itl=[
                p.itl_seconds / (await batch(round(p.batch), _context(p))).itl_seconds - 1
                for p in entry.decode_points
            ],
        )
        engine = entry.engine
        held = [await batch(*each) for each in BATCHES]
        steps = [engine.decode.step_seconds(p.batch, p.kv_tokens) for p in held]
        fresh = Errors(
            ttft=[engine.prompt_seconds(isl) / await prompt(isl) - 1 for isl in PROMPTS],
            itl=[step / p.itl_seconds - 1 for step, p in zip(steps, held, strict=True)],
        )
    finally:
        await bench.stop()
    sys.stdout.write(f"{parallelism}\n  elsewhere {fresh}\n  at its own points {again}\n")
    return fresh, again


def _context(point: DecodePoint) -> int:
    """Return the context to ask for; it grows while it is measured."""
    return round(point.kv_tokens / point.batch)


def usual(name: str, looks: list[Errors]) -> float:
    return median(abs(error) for look in looks for error in getattr(look, name))


async def test_a_profile_of_real_engines_tells_what_it_did_not_measure(model, tmp_path) -> None:
    code, told = await profiled(model, tmp_path)
    assert code == 0
    profile = Profile.from_dict(json.loads((tmp_path / "found.json").read_text()))
    assert profile.parallelisms == PARALLELISMS
    assert json.loads(told)["failures"] == []
    assert any("GB/s a GPU, measured" in note for note in profile.notes)
    for entry in profile.engines:
        assert not {point.isl for point in entry.prefill_points} & set(PROMPTS)
        assert entry.start_up is not None

    rig = LocalRig(
        Vllm(model=model, model_name=model.name, arguments=ENGINE),
        gpu="cpu", has_gpu=False, start_seconds=300.0, sample_seconds=60.0,
    )  # fmt: skip
    looks = [await looked_at(rig, profile, parallelism) for parallelism in PARALLELISMS]
    elsewhere, at_its_own_points = zip(*looks, strict=True)
    for name in ("ttft", "itl"):
        # The second figure tells a machine that has changed from a profile that is wrong.
        off = (usual(name, elsewhere), usual(name, at_its_own_points))
        assert off[0] <= MOST_OFF, f"{name}: {off[0]:.0%} off, {off[1]:.0%} at its own points"
