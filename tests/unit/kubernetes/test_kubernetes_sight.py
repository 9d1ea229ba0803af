"""How a workload's number and its pods become replicas: a table, and the laws that it keeps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kubernetes.kinds import DEPLOYMENTS
from connectors.kubernetes.objects import Member, Workload
from connectors.kubernetes.sight import Sight
from connectors.kubernetes.waiting import Stuck, Waiting
from planner.core.observation import Replicas
from planner.core.role import Role

READY, STARTING, LEAVING, TOLD, UNPLACED, FAILING = "rslduf"


def member(index: int, state: str) -> Member:
    return Member(
        name=f"decode-{index}",
        pods=(f"decode-{index}",),
        ordinal=index,
        is_ready=state in (READY, TOLD),
        is_leaving=state == LEAVING,
        drains_since=1.0 if state == TOLD else None,
        unplaced="no node" if state == UNPLACED else None,
        failing="crashes" if state == FAILING else None,
        gpus=1,
    )


def sight(wanted: int, states: str, *, waited: bool = False) -> Sight:
    workload = Workload(
        name="decode", kind=DEPLOYMENTS, role=Role.DECODE, replicas=wanted, version="1", gpus=1
    )
    members = [member(index, state) for index, state in enumerate(states)]
    waiting = Waiting(seconds=0.0 if waited else 1e9, clock=lambda: 0.0)
    return Sight(workload=workload, members=members, stuck=waiting.stuck(workload, members, None))


@pytest.mark.parametrize(
    ("wanted", "states", "ready", "starting", "draining"),
    [
        pytest.param(0, "", 0, 0, 0, id="nothing"),
        pytest.param(2, "rr", 2, 0, 0, id="all there"),
        pytest.param(3, "rs", 1, 2, 0, id="asked for counts before it exists"),
        pytest.param(1, "rr", 1, 0, 1, id="let go, not yet deleted"),
        pytest.param(1, "rl", 1, 0, 1, id="deleted, finishing"),
        pytest.param(2, "rd", 1, 0, 1, id="told to drain, still in the number"),
        pytest.param(1, "rd", 1, 0, 1, id="told to drain, let go"),
        pytest.param(2, "rdr", 2, 0, 1, id="another one while one drains"),
        pytest.param(3, "rdl", 1, 1, 2, id="one drains, one finishes, one is to come"),
        pytest.param(2, "ruf", 1, 1, 1, id="trouble is waited for"),
    ],
)
def test_replicas_are_counted(
    wanted: int, states: str, ready: int, starting: int, draining: int
) -> None:
    expected = Replicas(ready=ready, starting=starting, draining=draining)
    assert sight(wanted, states).replicas == expected


@pytest.mark.parametrize(
    ("wanted", "states", "stuck", "replicas"),
    [
        pytest.param(2, "ru", Stuck(nowhere=1), Replicas(ready=1), id="no node"),
        pytest.param(2, "rf", Stuck(placed=1), Replicas(ready=1, draining=1), id="fails"),
        pytest.param(3, "r", Stuck(nowhere=2), Replicas(ready=1), id="not even created"),
        pytest.param(2, "rs", Stuck(), Replicas(ready=1, starting=1), id="slow is no trouble"),
    ],
)
def test_what_does_not_come_is_not_counted_on(
    wanted: int, states: str, stuck: Stuck, replicas: Replicas
) -> None:
    seen = sight(wanted, states, waited=True)
    assert (seen.stuck, seen.replicas) == (stuck, replicas)


@given(st.integers(0, 6), st.text("rslduf", max_size=8), st.booleans())
def test_counts_never_hide_what_exists(wanted: int, states: str, waited: bool) -> None:
    seen = sight(wanted, states, waited=waited)
    counts = seen.replicas
    holding = sum(state != UNPLACED for state in states)
    assert min(counts.ready, counts.starting, counts.draining) >= 0
    assert seen.claimed >= holding
    assert counts.current <= wanted
    if not waited:
        assert counts.current == seen.wanted


@given(st.integers(0, 6), st.text("rslduf", max_size=8), st.integers(0, 6))
def test_victims_are_some_that_stay_and_serve_last(wanted: int, states: str, count: int) -> None:
    seen = sight(wanted, states)
    leaving = seen.victims(count, {})
    assert len({one.name for one in leaving}) == len(leaving) <= count
    assert not any(one.leaves for one in leaving)
    kept = [m for m in seen.members if not m.leaves and m not in leaving]
    if any(one.is_ready for one in leaving):
        assert all(one.is_ready for one in kept)
