"""What an engine has, told over a line that loses messages: never wrong for long."""

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from runtime.kv_events.ledger import PART_BLOCKS, BlockLedger
from runtime.kv_events.messages import Cleared, KvNews, Removed, Stored, decode_news, encode_news
from runtime.router.kv.index import PrefixIndex
from runtime.router.kv.known import KnownCaches

BLOCKS = st.lists(st.integers(0, 9), max_size=5)
ACTS = st.tuples(st.sampled_from(["store", "remove", "clear"]), BLOCKS)
WORKER = 5


def act(ledger: BlockLedger, name: str, blocks: list[int]) -> None:
    getattr(ledger, name)(*(() if name == "clear" else (blocks,)))


def news(number: int, *events, restated=False, epoch=1) -> KvNews:
    return KvNews(instance_id=WORKER, epoch=epoch, number=number, block_size=16,
                  events=list(events), restated=restated)  # fmt: skip


class Line:
    """One worker, its messages, and a router that gets some of them."""

    def __init__(self) -> None:
        self.ledger = BlockLedger()
        self.index = PrefixIndex()
        self.known = KnownCaches(self.index)
        self.numbers = count(1)

    def tell(self, events, *, arrives: bool, restated: bool = False) -> bool:
        message = encode_news(news(next(self.numbers), *events, restated=restated))
        return self.known.take(decode_news(message)) if arrives else True

    def known_blocks(self) -> set[int]:
        return {block for block in range(10) if self.index.match([block])}


@given(st.lists(st.tuples(st.lists(ACTS, max_size=4), st.booleans()), max_size=12))
def test_after_any_losses_the_next_message_shows_that_something_is_missing(rounds):
    line = Line()
    line.tell(line.ledger.everything(), arrives=True, restated=True)
    for acts, arrives in rounds:
        for name, blocks in acts:
            act(line.ledger, name, blocks)
        is_whole = line.tell(line.ledger.news(), arrives=arrives)
        present = {block for block in range(10) if block in line.ledger}
        if arrives:  # never too much, and too little only where it is known to be
            assert line.known_blocks() <= present
            assert not is_whole or line.known_blocks() == present
    if not line.tell(line.ledger.news(), arrives=True):
        assert line.tell(line.ledger.everything(), arrives=True, restated=True)
    assert line.known_blocks() == {block for block in range(10) if block in line.ledger}


@given(st.lists(ACTS, max_size=10))
def test_news_say_what_changed_in_between(acts):
    ledger, index = BlockLedger(), PrefixIndex()
    known = KnownCaches(index)
    ledger.store([1, 2])
    known.take(news(1, *ledger.everything(), restated=True))
    for name, blocks in acts:
        act(ledger, name, blocks)
    known.take(news(2, *ledger.news()))
    assert index.size(WORKER) == len(ledger)
    assert all(index.match([block]) for block in range(10) if block in ledger)
    assert ledger.news() == []


def test_nothing_is_kept_for_news_that_nobody_reads():
    ledger = BlockLedger()
    ledger.store(range(1000))
    ledger.clear()
    assert ledger.news() == []
    assert ledger.everything() == [Cleared()]


def test_many_blocks_are_told_in_parts():
    ledger = BlockLedger()
    ledger.store(range(2 * PART_BLOCKS + 1))
    cleared, *parts = ledger.everything()
    assert cleared == Cleared()
    assert [len(part.blocks) for part in parts] == [PART_BLOCKS, PART_BLOCKS, 1]


def test_who_missed_nothing_passes_over_what_is_told_again():
    index = PrefixIndex()
    known = KnownCaches(index)
    assert known.take(news(1, Cleared(), Stored([1, 2]), restated=True))
    assert known.take(news(2, Cleared(), restated=True))
    assert known.take(news(3, Stored([9]), restated=True))
    assert (index.size(WORKER), index.match([9])) == (2, {})
    assert known.take(news(4, Stored([3])))
    assert index.size(WORKER) == 3


def test_all_parts_of_what_is_told_again_are_read():
    index = PrefixIndex()
    known = KnownCaches(index)
    assert not known.take(news(6, Stored([5])))
    assert not known.take(news(7, Stored([4]), restated=True))  # the rest of what others asked for
    assert known.take(news(8, Cleared(), Stored([1]), restated=True))
    assert known.take(news(9, Stored([2]), restated=True))
    assert known.take(news(10, Removed([1])))
    assert (index.match([1]), index.match([2]), index.match([5])) == ({}, {WORKER: 1}, {})


def test_a_part_that_is_lost_is_missed():
    index = PrefixIndex()
    known = KnownCaches(index)
    known.take(news(1, Cleared(), Stored([1]), restated=True))
    assert not known.take(news(3, Stored([3]), restated=True))
    assert not known.take(news(4))
    assert index.match([1]) == {}


def test_a_worker_that_started_again_has_told_nothing_yet():
    index = PrefixIndex()
    known = KnownCaches(index)
    known.take(news(1, Cleared(), Stored([1]), restated=True))
    assert not known.take(news(2, Stored([2]), epoch=2))
    assert (index.match([1]), index.match([2])) == ({}, {WORKER: 1})
