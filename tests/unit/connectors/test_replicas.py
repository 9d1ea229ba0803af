"""Names, indexes and victims."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.replicas import Replica, free_names, replica_name, replica_role, victims
from planner.core.role import Role


def ready(name: str, in_flight: int | None) -> Replica:
    return Replica(name=name, is_ready=True, in_flight=in_flight)


def starting(name: str) -> Replica:
    return Replica(name=name, is_ready=False)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("decode-1", Role.DECODE),
        ("prefill-12", Role.PREFILL),
        ("aggregated-3", Role.AGGREGATED),
        ("decode-0", None),
        ("decode-01", None),
        ("decode", None),
        ("etcd", None),
        ("worker-1", None),
        ("decode-1x", None),
    ],
)
def test_a_name_tells_its_role(name: str, role: Role | None) -> None:
    assert replica_role(name) is role


@pytest.mark.parametrize(
    ("taken", "count", "names"),
    [
        pytest.param((), 2, ["decode-1", "decode-2"], id="first ones"),
        pytest.param(("decode-1", "decode-3"), 2, ["decode-2", "decode-4"], id="gaps are filled"),
        pytest.param(("prefill-1",), 1, ["decode-1"], id="other roles count apart"),
        pytest.param((), 0, [], id="none"),
    ],
)
def test_the_lowest_free_indexes_are_taken(
    taken: tuple[str, ...], count: int, names: list[str]
) -> None:
    assert free_names(Role.DECODE, taken, count) == names


@given(
    taken=st.sets(st.integers(1, 20).map(lambda index: replica_name(Role.DECODE, index))),
    count=st.integers(0, 20),
)
def test_names_are_new_and_distinct(taken: set[str], count: int) -> None:
    names = free_names(Role.DECODE, taken, count)

    assert len(set(names)) == count
    assert not taken.intersection(names)


CASES = [
    pytest.param([ready("decode-1", 0), starting("decode-2")], 1, ["decode-2"], id="starting"),
    pytest.param([ready("decode-1", 3), ready("decode-2", 5)], 1, ["decode-1"], id="idlest"),
    pytest.param([ready("decode-1", None), ready("decode-2", 5)], 1, ["decode-2"], id="unknown"),
    pytest.param([ready("decode-9", 1), ready("decode-10", 1)], 1, ["decode-10"], id="highest"),
    pytest.param([starting("decode-2"), starting("decode-3")], 1, ["decode-3"], id="latest"),
    pytest.param([ready("decode-1", 1)], 0, [], id="none"),
    pytest.param([ready("decode-1", 1)], 5, ["decode-1"], id="more than there are"),
]


@pytest.mark.parametrize(("replicas", "count", "names"), CASES)
def test_the_victim_is_the_one_whose_loss_hurts_least(
    replicas: list[Replica], count: int, names: list[str]
) -> None:
    assert victims(replicas, count) == names
