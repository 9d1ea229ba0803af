"""What a worker shows and offers of an engine that knows its size only once it is loaded."""

from dataclasses import replace
from pathlib import Path

from runtime.protocol import ModelCard
from workers.engine import TransferTotals
from workers.metrics import WorkerMetrics
from workers.parts import Capacity, Equipment
from workers.vllm.engine import VllmEngine
from workers.vllm.loading import VllmLoading
from workers.vllm.prefix import PrefixIndex
from workers.vllm.totals import Report, Totals


def made() -> tuple[VllmEngine, Totals]:
    totals = Totals(on_step=lambda seconds: None, clock=lambda: 0.0)
    loading = VllmLoading([], totals, imported=lambda: None)
    return VllmEngine(loading, totals, index=PrefixIndex()), totals


def values(engine: VllmEngine) -> dict[str, float]:
    metrics = WorkerMetrics(model="m", namespace="n", component="decode", instance="1")
    metrics.read(stats=engine.stats, in_flight=lambda: 0, queue_depth=lambda: None)
    return {
        sample.name.removeprefix("planner_worker_"): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
    }


def test_blocks_are_not_shown_before_they_are_known():
    engine, totals = made()
    assert "kv_blocks_total" not in values(engine)
    totals.loaded(40)
    totals.record(
        Report(running=1, waiting=0, kv_usage=0.5, transfers=2, transferred_bytes=10,
               transfer_seconds=0.5)
    )  # fmt: skip
    shown = values(engine)
    assert (shown["kv_blocks_total"], shown["kv_blocks_used"]) == (40, 20)
    assert shown["kv_transfers_received_total"] == 2
    assert shown["kv_received_bytes_total"] == 10
    assert shown["kv_receive_seconds_total"] == 0.5
    assert engine.stats().transfers == TransferTotals(
        received=2, failed=0, tokens=0, bytes=10, seconds=0.5
    )


def test_the_card_says_what_the_loaded_engine_holds():
    engine, _ = made()
    card = ModelCard(
        name="m", path=str(Path()), context_length=4096, eos_token_ids=(2,), checksum="c"
    )
    before = Equipment(engine=engine, card=card, gpus=2, token_budget=1)
    assert before.loaded() is before
    capacity = Capacity(
        context_length=2048, kv_block_size=32, kv_blocks=99, max_num_seqs=8, token_budget=512
    )
    after = replace(before, capacity=lambda: capacity).loaded()
    assert after.token_budget == 512
    assert (after.card.context_length, after.card.kv_block_size) == (2048, 32)
    assert (after.card.total_kv_blocks, after.card.max_num_seqs) == (99, 8)
    assert after.card.checksum == "c"
