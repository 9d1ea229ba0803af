"""vLLM's statistics of one step, as one report."""

from types import SimpleNamespace

from workers.vllm.reports import report
from workers.vllm.totals import Report


def scheduled(**more):
    return SimpleNamespace(**{
        "num_running_reqs": 2, "num_waiting_reqs": 3, "num_skipped_waiting_reqs": 1,
        "kv_cache_usage": 0.5, "iteration_details": None, "kv_connector_stats": None, **more,
    })  # fmt: skip


def produced():
    prompts = SimpleNamespace(total=30, local_cache_hit=10, external_kv_transfer=15)
    return SimpleNamespace(
        prompt_token_stats=prompts, num_generation_tokens=4, num_preempted_reqs=1
    )


def details(*, is_dummy=False):
    return SimpleNamespace(num_ctx_requests=2, num_ctx_tokens=60, is_dummy=is_dummy)


def test_nothing_told_is_nothing_known():
    assert report(None, None, rank=3) == Report(rank=3)


def test_both_halves_are_read():
    found = report(scheduled(iteration_details=details()), produced(), rank=0)
    assert found == Report(
        running=2, waiting=4, without_room=3, kv_usage=0.5, prefilling=2, prefilling_tokens=60,
        prompt_tokens=30, cached_tokens=10, received_tokens=15, generated_tokens=4, preemptions=1,
    )  # fmt: skip


def test_a_dummy_step_is_none():
    assert report(scheduled(iteration_details=details(is_dummy=True)), None, rank=0) == (
        report(scheduled(), None, rank=0)
    )


def test_transfers_and_both_ways_to_fail_are_counted():
    stats = {"bytes_transferred": [100, 200], "num_failed_transfers": [1],
             "num_failed_handshakes": [1, 1], "transfer_duration": [0.1, 0.1]}  # fmt: skip
    found = report(scheduled(kv_connector_stats=stats), None, rank=0)
    assert (found.transfers, found.transferred_bytes, found.failed_transfers) == (2, 300, 3)
    assert found.transfer_seconds == 0.2
