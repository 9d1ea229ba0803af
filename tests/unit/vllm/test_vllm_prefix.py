"""A prefix cache, known from the events of the engine that has it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.kv_events.blocks import block_hashes
from workers.vllm.prefix import Cleared, PrefixIndex, Removed, Stored, read_batch


def stored(hashes, tokens, parent=None, **more):
    return Stored(
        block_hashes=hashes, parent_block_hash=parent, token_ids=tokens, block_size=2, **more
    )


@pytest.fixture
def index():
    index = PrefixIndex()
    index.apply([stored([11, 12], [1, 2, 3, 4]), stored([13], [5, 6], parent=12)])
    return index


CASES = [
    pytest.param([1, 2, 3, 4, 5, 6], 6, id="all"),
    pytest.param([1, 2, 3, 4, 5, 6, 7], 6, id="whole blocks"),
    pytest.param([1, 2, 3, 9], 2, id="until they differ"),
    pytest.param([3, 4], 0, id="a block elsewhere"),
    pytest.param([1], 0, id="less than a block"),
    pytest.param([], 0, id="nothing"),
]


@pytest.mark.parametrize(("tokens", "cached"), CASES)
def test_prefixes_are_found_block_by_block(index, tokens, cached):
    assert index.cached(tokens) == cached


def test_blocks_have_the_names_that_routers_look_for(index):
    names = block_hashes([1, 2, 3, 4, 5, 6], 2)
    assert index.ledger.block_size == 2
    assert [name in index.ledger for name in names] == [True, True, True]
    index.apply([Removed(block_hashes=[12])])
    assert [name in index.ledger for name in names] == [True, False, True]
    index.clear()
    assert len(index.ledger) == 0


def test_blocks_behind_one_that_is_not_known_have_no_name(index):
    index.apply([stored([21], [7, 8], parent=20), stored([22], [9, 9], parent=21)])
    assert len(index.ledger) == 3


def test_an_index_that_was_told_nothing_knows_nothing():
    assert PrefixIndex().cached([1, 2, 3]) == 0


def test_blocks_go(index):
    index.apply([Removed(block_hashes=[12, 99])])
    assert index.cached([1, 2, 3, 4, 5, 6]) == 2
    index.apply([stored([12], [3, 4], parent=11)])
    assert index.cached([1, 2, 3, 4, 5, 6]) == 6
    index.apply([Cleared()])
    assert index.cached([1, 2]) == 0


def test_blocks_of_other_caches_and_with_more_than_tokens_are_left_out():
    index = PrefixIndex()
    index.apply([stored([1], [1, 2], group_idx=1), stored([2], [3, 4], extra_keys=[["lora"]])])
    assert index.cached([1, 2]) == index.cached([3, 4]) == 0


def test_events_are_read_as_vllm_writes_them():
    """Maps with a type, in a list with a time and a rank; what is new there is passed over."""
    body = msgspec.msgpack.encode(
        [1.5, [
            {"type": "BlockStored", "block_hashes": [b"h"], "parent_block_hash": None,
             "token_ids": [1, 2], "block_size": 2, "lora_id": None, "medium": "GPU", "new": 1},
            {"type": "BlockRemoved", "block_hashes": [b"h"], "medium": "GPU"},
            {"type": "AllBlocksCleared"},
        ], 0]
    )  # fmt: skip
    first, second, third = read_batch(body).events
    assert isinstance(first, Stored)
    assert first.block_hashes == [b"h"]
    assert (type(second), type(third)) == (Removed, Cleared)
    with pytest.raises(ValueError, match="Invalid"):
        read_batch(msgspec.msgpack.encode([1.5, [{"type": "SomethingElse"}]]))


@given(st.lists(st.lists(st.integers(0, 2), max_size=12), max_size=8), st.integers(1, 3))
def test_what_was_stored_is_found_and_nothing_else(prompts, size):
    index, hashes = PrefixIndex(), {}
    for prompt in prompts:
        parent = None
        for end in range(size, len(prompt) + 1, size):
            block = hashes.setdefault(tuple(prompt[:end]), len(hashes))
            index.apply([Stored(block_hashes=[block], parent_block_hash=parent,
                                token_ids=prompt[end - size : end], block_size=size)])  # fmt: skip
            parent = block
    known = set(hashes)
    for prompt in [*prompts, [0, 1, 2, 0, 1, 2]]:
        ends = [end for end in range(size, len(prompt) + 1, size) if tuple(prompt[:end]) in known]
        assert index.cached(prompt) == max(ends, default=0)
