"""Which instance each strategy chooses."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidRequest
from runtime.instance import InstanceRecord
from runtime.router.strategy import make_strategy


def records(*ids: int) -> tuple[InstanceRecord, ...]:
    return tuple(
        InstanceRecord(
            namespace="n", component="c", endpoint="e", instance_id=number, subject=str(number)
        )
        for number in sorted(ids)
    )


def choices(strategy, candidates, count, in_flight=None):
    return [strategy.choose(candidates, in_flight or {}).instance_id for _ in range(count)]


@given(st.sets(st.integers(1, 2**48), min_size=1, max_size=9), st.integers(1, 5))
def test_round_robin_is_exactly_fair(ids, rounds):
    seen = choices(make_strategy("round_robin"), records(*ids), rounds * len(ids))
    assert Counter(seen) == dict.fromkeys(ids, rounds)


def test_round_robin_goes_on_behind_an_instance_that_left():
    strategy = make_strategy("round_robin")
    assert choices(strategy, records(1, 2, 3), 2) == [1, 2]
    assert choices(strategy, records(1, 3, 4), 3) == [3, 4, 1]


def test_random_reaches_all_and_repeats_with_its_seed():
    first, second = (
        choices(make_strategy("random", Random(7)), records(1, 2, 3), 60) for _ in range(2)
    )
    assert first == second
    assert set(first) == {1, 2, 3}


@given(st.dictionaries(st.integers(1, 99), st.integers(1, 5), min_size=1), st.sets(st.integers(1)))
def test_least_loaded_takes_a_minimum(loads, idle):
    strategy = make_strategy("least_loaded", Random(1))
    candidates = records(*loads, *(idle - loads.keys()))
    chosen = strategy.choose(candidates, loads).instance_id
    fewest = min(loads.get(record.instance_id, 0) for record in candidates)
    assert loads.get(chosen, 0) == fewest


def test_least_loaded_draws_among_equals():
    seen = choices(make_strategy("least_loaded", Random(3)), records(1, 2, 3), 60, {2: 1})
    assert set(seen) == {1, 3}


def test_direct_wants_a_name():
    with pytest.raises(InvalidRequest, match="instance_id"):
        make_strategy("direct").choose(records(1), {})


def test_an_unknown_strategy_is_refused_by_name():
    with pytest.raises(ValueError, match="'sticky'"):
        make_strategy("sticky")
