"""The index of caches equals one that does everything the slow way."""

from hypothesis import given
from hypothesis import strategies as st

from runtime.kv_events.blocks import block_hashes
from runtime.router.kv.index import PrefixIndex
from runtime.router.kv.recent import RecentBlocks

WORKERS = st.integers(1, 4)
BLOCKS = st.lists(st.integers(0, 8), max_size=6)
STEPS = st.lists(
    st.tuples(st.sampled_from(["store", "remove", "drop"]), WORKERS, BLOCKS), max_size=30
)


class Slow:
    """What the index has to be: a set of blocks for each worker."""

    def __init__(self) -> None:
        self.blocks: dict[int, set[int]] = {}

    def store(self, worker: int, blocks: list[int]) -> None:
        self.blocks.setdefault(worker, set()).update(blocks)

    def remove(self, worker: int, blocks: list[int]) -> None:
        self.blocks.get(worker, set()).difference_update(blocks)

    def drop(self, worker: int) -> None:
        self.blocks.pop(worker, None)

    def match(self, path: list[int]) -> dict[int, int]:
        found = {}
        for worker, blocks in self.blocks.items():
            length = next((n for n, one in enumerate(path) if one not in blocks), len(path))
            if length:
                found[worker] = length
        return found


@given(STEPS, BLOCKS)
def test_it_knows_what_the_events_say(steps, path):
    index, slow = PrefixIndex(), Slow()
    for name, worker, blocks in steps:
        arguments = (worker,) if name == "drop" else (worker, blocks)
        getattr(index, name)(*arguments)
        getattr(slow, name)(*arguments)
    assert index.match(path) == slow.match(path)
    assert {w: index.size(w) for w in slow.blocks} == {w: len(b) for w, b in slow.blocks.items()}
    assert len(index) == len(set().union(*slow.blocks.values()))


def test_a_prompt_is_found_where_its_beginning_is():
    index = PrefixIndex()
    index.store(7, block_hashes(list(range(12)), 4))
    index.store(8, block_hashes(list(range(8)), 4))
    index.store(9, block_hashes([0, 0, 0, 0, *range(4, 12)], 4))
    assert index.match(block_hashes([*range(11), 99], 4)) == {7: 2, 8: 2}
    assert index.match(block_hashes(list(range(20)), 4)) == {7: 3, 8: 2}


def test_nothing_is_left_of_workers_that_went():
    index = PrefixIndex()
    for worker in range(100):
        index.store(worker, [1, 2, worker])
    for worker in range(100):
        index.drop(worker)
    index.drop(5)
    assert (len(index), index.match([1, 2]), index.size(5)) == (0, {}, 0)
    index.store(3, [1])
    assert index.match([1, 2]) == {3: 1}


def test_one_worker_fills_no_more_than_its_part():
    index = PrefixIndex(most_blocks=3)
    index.store(1, range(10))
    index.store(2, [0, 1])
    assert (index.size(1), index.size(2)) == (3, 2)
    assert index.match(range(10)) == {1: 3, 2: 2}


def test_what_was_sent_lately_counts_for_a_while_from_the_last_time():
    index = PrefixIndex()
    recent = RecentBlocks(index, seconds=100)
    recent.sent(1, [1, 2, 3], now=0)
    recent.sent(1, [1, 2], now=60)
    recent.expire(now=99)
    assert index.match([1, 2, 3]) == {1: 3}
    recent.expire(now=100)
    assert index.match([1, 2, 3]) == {1: 2}
    recent.expire(now=160)
    assert (index.match([1]), len(index)) == ({}, 0)


def test_the_ends_of_the_oldest_prompts_go_first():
    index = PrefixIndex()
    recent = RecentBlocks(index, most_blocks=4)
    recent.sent(1, [1, 2, 3], now=0)
    recent.sent(1, [7, 8], now=0)
    assert (index.match([1, 2, 3]), index.match([7, 8])) == ({1: 2}, {1: 2})


def test_what_belongs_to_somebody_else_does_not_expire():
    index = PrefixIndex()
    recent = RecentBlocks(index, seconds=100)
    recent.sent(1, [1, 2], now=0)
    recent.forget(1)
    recent.expire(now=1000)
    assert index.match([1, 2]) == {1: 2}
