"""Figures out of vLLM's reports and out of the requests themselves."""

import pytest

from workers.engine import StepTotals, TransferTotals
from workers.vllm.totals import Report, Totals


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def steps():
    return []


@pytest.fixture
def totals(clock, steps):
    return Totals(on_step=steps.append, clock=clock)


def test_before_the_engine_is_loaded_nothing_is_made_up(totals):
    stats = totals.read()
    assert stats.kv_blocks_total is stats.kv_blocks_used is None
    assert (stats.running, stats.waiting, stats.waiting_tokens) == (0, 0, 0)


def test_gauges_are_the_last_ones_told_of_each_engine(totals):
    totals.loaded(1000)
    totals.record(Report(rank=0, running=3, waiting=2, kv_usage=0.25))
    totals.record(Report(rank=1, running=1, waiting=0, kv_usage=0.5))
    totals.record(Report(rank=1, generated_tokens=1))  # no gauges this time
    stats = totals.read()
    assert (stats.running, stats.waiting) == (4, 2)
    assert (stats.kv_blocks_used, stats.kv_blocks_total) == (750, 2000)


def test_counts_add_up(totals):
    one = Report(
        prompt_tokens=300, cached_tokens=200, received_tokens=50, generated_tokens=2, preemptions=1,
        transfers=1, transferred_bytes=4096, transfer_seconds=0.25, failed_transfers=1,
    )  # fmt: skip
    totals.record(one)
    totals.record(one)
    totals.refuse()
    stats = totals.read()
    assert (stats.prompt_tokens, stats.cached_tokens, stats.generated_tokens) == (600, 400, 4)
    assert stats.preemptions == 2
    assert stats.transfers == TransferTotals(
        received=2, failed=3, tokens=100, bytes=8192, seconds=0.5
    )


def test_a_step_takes_from_the_one_before_or_from_its_first_request(totals, clock, steps):
    clock.now = 200.0  # idle until now
    totals.begin("a", 10, is_remote=False)
    clock.now = 200.5
    totals.record(Report(running=1, prefilling=1, prefilling_tokens=10))
    clock.now = 200.75
    totals.begin("b", 10, is_remote=False)  # joins the next step, does not shorten this one
    clock.now = 201.0
    totals.record(Report(running=2, prefilling=1, prefilling_tokens=1))
    totals.record(Report(running=0))  # no step
    assert steps == [0.5, 0.5]
    stats = totals.read().steps
    assert stats is not None
    assert stats.prefill_steps == 1  # the second computed one token, as decoding does


def test_requests_tell_what_steps_computed(totals):
    totals.begin("local", 100, is_remote=False)
    totals.begin("remote", 50, is_remote=True)
    assert totals.read().waiting_tokens == 100
    totals.first("local", 100, cached_tokens=40)
    totals.more(100, 2)  # reads 101 and 102
    totals.first("remote", 50, cached_tokens=0)  # reads 50
    totals.end("local")
    totals.end("remote")
    stats = totals.read()
    assert stats.waiting_tokens == 0
    assert stats.steps == StepTotals(
        prefill_steps=0, decoded_tokens=3, kv_tokens_read=253, prefilled_tokens=60,
        prefilled_squared_tokens=100**2 - 40**2,
    )  # fmt: skip


def test_a_request_that_leaves_before_its_first_token_waits_no_more(totals):
    totals.begin("a", 100, is_remote=False)
    totals.end("a")
    assert totals.read().waiting_tokens == 0
