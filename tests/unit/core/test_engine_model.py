"""The engine model: step times, what fits, and the capacity under a target."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.core.engine import DecodeLaw, EngineLimits, EngineModel, PrefillLaw

ENGINE = EngineModel(
    prefill=PrefillLaw(base_seconds=0.02, token_seconds=1e-5, token_squared_seconds=1e-9),
    decode=DecodeLaw(base_seconds=0.005, request_seconds=1e-4, kv_token_seconds=1e-8),
    limits=EngineLimits(
        max_num_batched_tokens=8192,
        max_num_seqs=256,
        block_size=16,
        kv_capacity_tokens=400_000,
        kv_bytes_per_token=100_000,
        transfer_bytes_per_second=1e10,
    ),
)

tokens = st.integers(1, 200_000)
targets = st.none() | st.floats(0.0001, 1.0)


def test_a_prefill_batch_pays_its_base_once():
    # 20 ms + 1000 * 10 us + 1000^2 * 1 ns = 31 ms; a second prompt adds 11 ms.
    assert ENGINE.prefill_seconds([1000]) == pytest.approx(0.031)
    assert ENGINE.prefill_seconds([1000, 1000]) == pytest.approx(0.042)


def test_a_prompt_longer_than_a_step_pays_the_base_for_every_chunk():
    # 20000 tokens in steps of 8192 are 3 chunks: 60 ms + 200 ms + 400 ms.
    assert ENGINE.prompt_seconds(20_000) == pytest.approx(0.66)
    assert ENGINE.prompt_seconds(8192) == pytest.approx(ENGINE.prefill_seconds([8192]))


def test_a_decode_step_grows_with_batch_and_context():
    # 5 ms + 10 * 0.1 ms + 100000 * 10 ns = 7 ms
    assert ENGINE.decode.step_seconds(10, 100_000) == pytest.approx(0.007)


@pytest.mark.parametrize(
    ("decoding", "kv_tokens", "chunks", "seconds"),
    [
        pytest.param(0, 0, [], 0.0, id="nothing to do takes no time"),
        pytest.param(10, 100_000, [], 0.007, id="decode alone"),
        pytest.param(0, 0, [(0, 1000)], 0.031, id="prefill alone"),
        pytest.param(10, 100_000, [(0, 1000)], 0.033, id="mixed: the larger base, once"),
    ],
)
def test_a_step_reads_the_weights_once(decoding, kv_tokens, chunks, seconds):
    step = ENGINE.step_seconds(decoding=decoding, kv_tokens=kv_tokens, chunks=chunks)
    assert step == pytest.approx(seconds)


@given(st.lists(st.integers(1, 20_000), min_size=1, max_size=8))
def test_chunks_add_up_to_the_prompt_however_it_is_cut(pieces):
    end, total = 0, 0.0
    for piece in pieces:
        total += ENGINE.prefill.chunk_seconds(end, end + piece)
        end += piece
    assert total == pytest.approx(ENGINE.prefill.marginal_seconds(end))


def test_a_cache_travels_at_the_speed_of_the_network():
    assert ENGINE.transfer_seconds(1000) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("context", "batch"),
    [
        pytest.param(1, 256, id="by sequences"),
        pytest.param(4000, 100, id="by KV cache"),
        pytest.param(4001, 99, id="a block is held whole"),
        pytest.param(400_001, 0, id="larger than the cache"),
    ],
)
def test_a_batch_is_limited_by_sequences_and_kv_blocks(context, batch):
    assert ENGINE.batch_limit(context) == batch


@given(targets, targets, tokens)
def test_a_looser_target_never_gives_less_capacity(one, other, context):
    loose, tight = sorted([one, other], key=lambda t: float("inf") if t is None else t)[::-1]
    assert ENGINE.decode_batch(loose, context) >= ENGINE.decode_batch(tight, context)
    faster = ENGINE.decode_tokens_per_second(tight, context)
    assert ENGINE.decode_tokens_per_second(loose, context) >= faster


@given(st.floats(0.0001, 1.0), tokens)
def test_the_batch_for_a_target_keeps_it_and_one_more_would_not(itl, context):
    batch = ENGINE.decode_batch(itl, context)
    if batch:
        assert ENGINE.decode.step_seconds(batch, batch * context) <= itl * (1 + 1e-9)
    if batch < ENGINE.batch_limit(context):
        more = batch + 1
        assert ENGINE.decode.step_seconds(more, more * context) > itl * (1 - 1e-9)


@given(targets, tokens, tokens)
def test_more_context_never_gives_more_capacity(itl, one, other):
    short, long = sorted([one, other])
    assert ENGINE.decode_batch(itl, long) <= ENGINE.decode_batch(itl, short)
    faster = ENGINE.decode_tokens_per_second(itl, short)
    assert ENGINE.decode_tokens_per_second(itl, long) <= faster * (1 + 1e-9)


@given(targets, tokens)
def test_no_smaller_batch_gives_more_than_the_one_for_the_target(itl, context):
    batch = ENGINE.decode_batch(itl, context)
    best = ENGINE.decode_tokens_per_second(itl, context)
    for fewer in {1, batch // 2, batch - 1} & set(range(1, batch + 1)):
        assert fewer / ENGINE.decode.step_seconds(fewer, fewer * context) <= best * (1 + 1e-9)
