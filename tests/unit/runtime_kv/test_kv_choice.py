"""Where a prompt goes: by what is cached, by what is in hand, and by chance where that is asked."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidRequest
from runtime.instance import InstanceRecord
from runtime.kv_events.blocks import block_hashes
from runtime.kv_events.messages import Cleared, KvNews, Removed, Stored
from runtime.router.kv.cost import KvSettings, Offer, choose_offer
from runtime.router.kv.load import Load
from runtime.router.kv.router import KvRouter


def records(*ids: int) -> tuple[InstanceRecord, ...]:
    return tuple(
        InstanceRecord(
            namespace="n", component="c", endpoint="e", instance_id=number, subject=str(number)
        )
        for number in ids
    )


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def make(*, seed: int = 1, clock: Clock | None = None, **settings: float) -> KvRouter:
    return KvRouter(KvSettings(**settings), Random(seed), clock=clock or Clock())


def tell(router: KvRouter, worker: int, *prompts: list[int], size: int = 4) -> None:
    stored = [Stored(block_hashes(prompt, size)) for prompt in prompts]
    router.take(KvNews(instance_id=worker, epoch=1, number=1, block_size=size,
                       events=[Cleared(), *stored], restated=True))  # fmt: skip


PROMPT = list(range(40))
PAIR = records(1, 2)


def test_the_worker_with_the_longest_beginning_is_taken():
    router = make()
    tell(router, 1, PROMPT[:8])
    tell(router, 2, PROMPT[:20])
    tell(router, 3, [9, 9, 9, 9])
    placement = router.place(records(1, 2, 3), PROMPT)
    assert (placement.record.instance_id, placement.cached_tokens) == (2, 20)
    placement.end()


def test_load_outweighs_a_cache_once_it_is_more_than_the_cache_saves():
    router = make(overlap_weight=1.0)
    tell(router, 1, PROMPT[:20])
    tell(router, 2)
    taken = [router.place(PAIR, [*PROMPT[:20], *range(100 * n, 100 * n + 20)]) for n in range(1, 4)]
    # To compute and in use, 1st: 20 + 40 on worker 1, 40 + 40 on worker 2. 2nd: 40 + 60, 40 + 40.
    # 3rd: 40 + 60, 80 + 60, as the beginning is in use on both and known to be cached on 1 alone.
    assert [one.record.instance_id for one in taken] == [1, 2, 1]
    for one in taken:
        one.end()
    assert router.loads == {}


def test_the_weight_of_what_is_cached_can_be_set():
    router = make(overlap_weight=5.0)
    tell(router, 1, PROMPT[:20])
    tell(router, 2)
    busy = router.place(PAIR, [*PROMPT[:20], *range(100, 120)])
    busy.started()
    assert router.place(PAIR, [*PROMPT[:20], *range(200, 220)]).record.instance_id == 1


def test_among_equals_the_one_with_fewer_blocks_then_chance():
    router = make()
    tell(router, 1, [5] * 40)
    tell(router, 2, [6] * 20)
    tell(router, 3, [7] * 20)
    seen = set()
    for _ in range(30):
        placement = router.place(records(1, 2, 3), PROMPT)
        seen.add(placement.record.instance_id)
        placement.end()
    assert seen == {2, 3}


def test_a_temperature_spreads_requests_by_cost():
    offers = [Offer(instance_id=n, cost=cost, known_blocks=0) for n, cost in ((1, 0.0), (2, 9.0))]
    rng = Random(1)
    for temperature, share in ((0.0, 1.0), (0.5, 0.88), (100.0, 0.5)):
        seen = Counter(
            choose_offer(offers, temperature=temperature, rng=rng).instance_id for _ in range(4000)
        )
        assert seen[1] / 4000 == pytest.approx(share, abs=0.03)
    equal = [Offer(instance_id=n, cost=1.0, known_blocks=n) for n in (1, 2)]
    taken = {choose_offer(equal, temperature=1.0, rng=rng).instance_id for _ in range(60)}
    assert taken == {1, 2}


@pytest.mark.parametrize("name", ["overlap_weight", "temperature"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_settings_are_numbers_of_0_or_more(name, value):
    with pytest.raises(InvalidRequest, match=name):
        KvSettings(**{name: value})


def test_blocks_of_different_sizes_are_compared_in_tokens():
    router = make()
    tell(router, 1, PROMPT[:16], size=16)
    tell(router, 2, PROMPT[:20], size=4)
    placement = router.place(PAIR, PROMPT)
    assert (placement.record.instance_id, placement.cached_tokens) == (2, 20)


def test_without_news_the_prompts_sent_lately_count_as_cached():
    clock = Clock()
    router = make(clock=clock)
    first = router.place(PAIR, PROMPT)
    first.end()
    for _ in range(10):
        placement = router.place(PAIR, [*PROMPT, 1, 2, 3])
        assert placement.record == first.record
        assert placement.cached_tokens == 32
        placement.end()
    clock.now = 121.0
    again = router.place(PAIR, PROMPT)
    assert again.cached_tokens == 0


def test_what_a_worker_tells_replaces_what_was_thought():
    router = make()
    sent = router.place(records(1), PROMPT)
    sent.end()
    router.take(KvNews(instance_id=1, epoch=1, number=1, block_size=16))
    assert router.place(records(1), PROMPT).cached_tokens == 0


def test_blocks_that_went_and_workers_that_left_count_no_more():
    router = make()
    tell(router, 1, PROMPT)
    gone = block_hashes(PROMPT, 4)[5:]
    router.take(KvNews(instance_id=1, epoch=1, number=2, block_size=4, events=[Removed(gone)]))
    assert router.place(records(1), PROMPT).cached_tokens == 20
    router.forget(1)
    assert router.place(records(1), PROMPT).cached_tokens == 0


def test_a_request_without_a_prompt_goes_to_the_idlest():
    assert make().choose(PAIR, {1: 3}).instance_id == 2


REQUESTS = st.lists(
    st.tuples(st.lists(st.integers(0, 2), max_size=12), st.booleans(), st.booleans()), max_size=12
)


@given(REQUESTS, st.randoms(use_true_random=False))
def test_nothing_is_left_in_hand_once_all_have_ended(requests, rng):
    router = KvRouter(KvSettings(), rng, clock=Clock())
    placements = []
    for prompt, starts, leaves in requests:
        placement = router.place(records(1, 2, 3), prompt)
        placements.append(placement)
        if starts:
            placement.started()
        if leaves:
            router.forget(placement.record.instance_id)
    left = sum(len(prompt) for prompt, starts, _ in requests if not starts)
    assert sum(load.prefill_tokens for load in router.loads.values()) <= left
    rng.shuffle(placements)
    for placement in placements:
        placement.end()
        placement.started()
        placement.end()
    assert router.loads == {}


@given(st.lists(st.lists(st.integers(0, 2), max_size=9), max_size=6), st.lists(st.integers(0, 2)))
def test_blocks_in_use_are_counted_once(prompts, asked):
    load = Load()
    chains = [block_hashes(prompt, 2) for prompt in prompts]
    for prompt, chain in zip(prompts, chains, strict=True):
        load.add(chain, is_loose=len(prompt) % 2 > 0, prefill_tokens=len(prompt))
    distinct = set().union(*chains)
    assert load.blocks == len(distinct) + sum(len(prompt) % 2 for prompt in prompts)
    path = block_hashes(asked, 2)
    expected = next((n for n, one in enumerate(path) if one not in distinct), len(path))
    assert load.shared(path) == expected
