"""Blocks have the same name wherever their tokens and those before them are the same."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.kv_events.blocks import block_hashes, next_block_hash

TOKENS = st.lists(st.integers(0, 3), max_size=20)
SIZES = st.integers(1, 5)


@given(TOKENS, SIZES)
def test_a_chain_is_the_same_made_at_once_or_block_by_block(tokens, size):
    parent, chain = None, []
    for end in range(size, len(tokens) + 1, size):
        parent = next_block_hash(parent, tokens[end - size : end])
        chain.append(parent)
    assert block_hashes(tokens, size) == tuple(chain)


@given(TOKENS, TOKENS, SIZES)
def test_equal_names_mean_equal_beginnings(one, other, size):
    pairs = list(zip(block_hashes(one, size), block_hashes(other, size), strict=False))
    for number, (left, right) in enumerate(pairs, 1):
        assert (left == right) == (one[: number * size] == other[: number * size])


def test_blocks_of_other_sizes_have_other_names():
    assert not set(block_hashes([7] * 12, 2)) & set(block_hashes([7] * 12, 3))


def test_the_names_are_those_that_the_wire_protocol_tells():
    assert [f"{name:016x}" for name in block_hashes([1, 2, 3, 4, 5], 2)] == [
        "6e9bc1b0eaa48332",
        "5c3c733cdb756312",
    ]


def test_tokens_of_more_than_32_bits_are_refused():
    with pytest.raises(struct.error):
        block_hashes([2**32], 1)
