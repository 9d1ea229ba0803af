"""A published sweep of a real engine, revealed one point at a time to a profiler that chooses them.

Its points are what a real engine shows: not monotone, bent where batches fill up, and now and then
at another load than the one asked for.
"""

import asyncio
import csv
from contextlib import asynccontextmanager
from itertools import pairwise
from math import log
from pathlib import Path

import numpy as np
import pytest

from planner.core.profile import Parallelism
from planner.core.sla import Sla
from planner.core.workload import Workload
from profiler.effort import Effort
from profiler.fit.engines import Assumed, fit_engine
from profiler.plan.sweep_plan import PlannedEngine
from profiler.ports import DecodeSample, EngineFacts, PrefillSample
from profiler.store import MemoryStore
from profiler.sweep.run import Sweep
from profiler.target import Target

_DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "profiles"
_PREFILL = _DATA / "dynamo_h200_tp1_prefill.csv"
_DECODE = _DATA / "dynamo_h200_tp1_decode.csv"
_KV_TOKENS = 945_029
_SEQUENCES = 1024

pytestmark = [
    pytest.mark.sim,
    pytest.mark.skipif(not _DECODE.exists(), reason=f"needs the published sweep in {_DATA}"),
]


class PublishedRig:
    """Answers with the published point nearest to what is asked, at the load achieved there."""

    facts = EngineFacts(
        start_up_seconds=60,
        max_num_seqs=_SEQUENCES,
        max_num_batched_tokens=16_384,
        block_size=16,
        kv_capacity_tokens=_KV_TOKENS,
        context_length=16_384,
        engine_version="unknown",
    )

    def __init__(self):
        self.identity = {"model": "llama-3.1-8b-fp8", "gpu": "h200"}
        self.prompts = [(int(r["isl"]), float(r["ttft_ms"]) / 1e3) for r in _rows(_PREFILL)]
        self.loads = [_load(row) for row in _rows(_DECODE)]
        self.shown = set()

    @asynccontextmanager
    async def engine(self, parallelism):
        yield self

    async def prefill(self, isl):
        index = min(range(len(self.prompts)), key=lambda i: abs(self.prompts[i][0] - isl))
        self.shown.add(("prefill", index))
        length, seconds = self.prompts[index]
        return PrefillSample(isl=length, ttft_seconds=seconds)

    async def decode(self, *, concurrency, context):
        def distance(index):
            asked, tokens, _ = self.loads[index]
            return (asked**0.5 - concurrency**0.5) ** 2 / _SEQUENCES + 0.3 * log(
                tokens / context
            ) ** 2

        index = min(range(len(self.loads)), key=distance)
        self.shown.add(("decode", index))
        return self.loads[index][2]


def _rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _load(row):
    """Return the concurrency asked for, the context, and what the engine did."""
    context, itl = float(row["context_length"]), float(row["itl_ms"]) / 1e3
    batch = float(row["thpt_per_gpu"]) * itl  # Little: what it achieved
    sample = DecodeSample(batch=batch, kv_tokens=batch * context, itl_seconds=itl, steps=1)
    return float(row["kv_usage"]) * _KV_TOKENS / context, context, sample


def profiled(itl_seconds, isl):
    rig = PublishedRig()
    effort = Effort(first_passes=0, least_repeats=2, most_repeats=2)
    sweep = Sweep(
        rig=rig,
        store=MemoryStore(),
        target=Target(
            sla=Sla(ttft_seconds=0.2, itl_seconds=itl_seconds),
            workload=Workload(rate_rps=0, isl=isl, osl=300),
        ),
        report=lambda event: None,
        clock=lambda: 0.0,
    )
    planned = PlannedEngine(
        parallelism=Parallelism(), effort=effort, start_seconds=1, points_seconds=1
    )
    swept = asyncio.run(sweep.run([planned]))
    assumed = Assumed(kv_bytes_per_token=131_072, transfer_bytes_per_second=5e10)
    assert len(rig.shown) <= effort.points
    return rig, fit_engine(swept.engines[0], assumed)


CASES = [
    pytest.param(itl, isl, id=f"itl {itl * 1e3:g} ms, isl {isl}")
    for itl in (0.01, 0.02, 0.03)
    for isl in (500, 2000, 6000)
]


@pytest.mark.parametrize(("itl", "isl"), CASES)
def test_ten_points_tell_the_others(itl, isl):
    rig, fitted = profiled(itl, isl)
    prefill = [
        abs(fitted.prefill.ttft_seconds(isl) / seconds - 1)
        for index, (isl, seconds) in enumerate(rig.prompts)
        if ("prefill", index) not in rig.shown
    ]
    decode = [
        abs(fitted.decode.itl_seconds(s.batch, s.kv_tokens) / s.itl_seconds - 1)
        for index, (_, _, s) in enumerate(rig.loads)
        if ("decode", index) not in rig.shown
    ]
    assert np.mean(prefill) <= 0.045
    assert np.mean(decode) <= 0.045


def test_curves_are_monotone_although_the_points_are_not():
    _, fitted = profiled(0.02, 2000)
    times = [fitted.prefill.ttft_seconds(isl) for isl in range(64, 16_384, 64)]
    assert all(a < b for a, b in pairwise(times))
    for context in (350, 3000, 13_000):
        steps = [fitted.decode.itl_seconds(b, b * context) for b in range(1, 900, 7)]
        assert all(a < b for a, b in pairwise(steps))
    for batch in (1, 30, 500):
        steps = [fitted.decode.itl_seconds(batch, kv) for kv in range(batch, 900_000, 9000)]
        assert all(a < b for a, b in pairwise(steps))


def test_a_looser_itl_never_gives_less():
    _, fitted = profiled(0.02, 2000)
    for context in (350, 3000, 13_000):
        rates = [fitted.decode.tokens_per_second(itl / 1e3, context) for itl in range(4, 50)]
        assert all(a <= b for a, b in pairwise(rates))
