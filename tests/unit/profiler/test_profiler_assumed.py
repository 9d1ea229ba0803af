"""What stands in for facts that no engine told."""

import pytest

from planner.core.profile import Parallelism
from planner.profiles import load_profile
from profiler.fit.engines import ADAPTER_BYTES_PER_SECOND, Assumed, fit_engine
from profiler.ports import DecodeSample, EngineFacts, PrefillSample
from profiler.record import DecodeAsk, PointRecord, PrefillAsk
from profiler.sweep.result import MeasuredEngine

FACTS = EngineFacts(
    start_up_seconds=1.0,
    max_num_seqs=16,
    max_num_batched_tokens=2048,
    block_size=16,
    kv_capacity_tokens=100_000,
    context_length=4096,
    engine_version="1",
)
LOADS = ((1, 500), (16, 128), (16, 4000), (8, 1000))


def measured(parallelism):
    prompts = [
        PointRecord(
            parallelism=parallelism,
            ask=PrefillAsk(isl=isl),
            samples=(PrefillSample(isl=isl, ttft_seconds=0.01 + 1e-5 * isl),),
        )
        for isl in (128, 500, 2000)
    ]
    loads = [
        PointRecord(
            parallelism=parallelism,
            ask=DecodeAsk(concurrency=batch, context=context),
            samples=(
                DecodeSample(
                    batch=batch,
                    kv_tokens=batch * context,
                    itl_seconds=0.005 + 1e-5 * batch + 1e-8 * batch * context,
                    steps=64,
                ),
            ),
        )
        for batch, context in LOADS
    ]
    return MeasuredEngine(parallelism=parallelism, facts=FACTS, records=(*prompts, *loads))


@pytest.mark.parametrize(
    "parallelism", [Parallelism(), Parallelism(tp=4), Parallelism(tp=2, pp=2)], ids=str
)
def test_every_gpu_of_an_engine_moves_kv_at_the_rate_of_one(parallelism):
    limits = fit_engine(measured(parallelism), Assumed(kv_bytes_per_token=7)).entry.engine.limits
    assert limits.transfer_bytes_per_second == ADAPTER_BYTES_PER_SECOND * parallelism.gpus
    assert limits.kv_bytes_per_token == 7


def test_bundled_profiles_assume_the_same_adapter():
    for entry in load_profile("qwen3-32b-h200").engines:
        rate = entry.engine.limits.transfer_bytes_per_second
        assert rate == ADAPTER_BYTES_PER_SECOND * entry.parallelism.gpus
