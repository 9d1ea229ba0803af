"""Knative's rule with numbers worked out by hand."""

import pytest

from planner.peers.kpa import KpaInputs, KpaSettings, KpaState, decide_kpa

SEVENTY = KpaSettings(target=70.0)
CALM = KpaState(has_begun=True)

ONE_LOOK = [
    pytest.param(3, 210.0, 3, id="210 in flight over a target of 70 -> 3"),
    pytest.param(3, 211.0, 4, id="211 over 70, rounded up -> 4"),
    pytest.param(3, 0.0, 1, id="nothing in flight: half of 3, rounded down -> 1"),
    pytest.param(9, 70.0, 4, id="70 over 70 is 1, but no less than half of 9 -> 4"),
    pytest.param(3, 350.0, 5, id="350 over 70 is 5, below twice 3: no panic -> 5"),
    pytest.param(3, 420.0, 6, id="420 over 70 is 6, twice 3: panic -> 6"),
    pytest.param(0, 140.0, 2, id="none ready counts as one -> 2"),
]


@pytest.mark.parametrize(("ready", "in_flight", "expected"), ONE_LOOK)
def test_one_look(ready, in_flight, expected):
    _, replicas = decide_kpa(SEVENTY, CALM, KpaInputs(at=100.0, in_flight=in_flight, ready=ready))
    assert replicas == expected


def _walk(loads, *, ready, state=CALM, every=5.0):
    counts = []
    for tick, load in enumerate(loads):
        inputs = KpaInputs(at=tick * every, in_flight=load, ready=ready)
        state, ready = decide_kpa(SEVENTY, state, inputs)
        counts.append(ready)
    return state, counts


def test_panic_answers_the_last_6_s_where_60_s_would_ask_for_less():
    # Two looks 5 s apart in 6 s: (70 + 560) / 2 / 70 = 4.5 -> 5, over twice 2; then 560 / 70 = 8.
    # The stable window has (11 * 70 + 560) / 12 / 70 = 1.6 -> 2.
    _, counts = _walk([140.0] * 10 + [560.0, 560.0], ready=2)
    assert counts[:10] == [2] * 10
    assert counts[10:] == [5, 8]


def test_a_panic_never_shrinks_and_ends_60_s_after_the_last_excess():
    # (140 + 560) / 2 / 70 = 5, twice 2, at 15 s; 8 at 20 s is not twice 5. 75 s is not yet over 60.
    state, counts = _walk([140.0] * 3 + [560.0, 560.0] + [70.0] * 12, ready=2)
    assert counts[3:16] == [5] + [8] * 12
    assert counts[16] == 4
    assert state.panic_at is None


def test_a_restart_begins_in_a_panic_that_keeps_what_is_ready():
    # 60 s after the beginning it has not ended yet; at 65 s it has, and half of 8 go.
    _, counts = _walk([70.0] * 14, ready=8, state=KpaState())
    assert counts == [8] * 13 + [4]


def test_a_restart_with_one_replica_is_calm():
    state, counts = _walk([0.0], ready=1, state=KpaState())
    assert counts == [1]
    assert state.panic_at is None


def test_growth_is_limited_to_the_up_rate():
    slow = KpaSettings(target=1.0, up_rate=2.5)
    _, replicas = decide_kpa(slow, CALM, KpaInputs(at=0.0, in_flight=100.0, ready=3))
    assert replicas == 8  # 2.5 * 3 = 7.5, rounded up
