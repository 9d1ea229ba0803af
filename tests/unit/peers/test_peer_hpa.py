"""The HPA's rule with numbers worked out by hand."""

import pytest

from planner.peers.hpa import HpaInputs, HpaSettings, HpaState, decide_hpa

TEN = HpaSettings(target=10.0)

BY_METRIC = [
    pytest.param(2, 0, 60.0, 6, id="60 in flight over 10 each -> 6"),
    pytest.param(2, 0, 61.0, 6, id="...and 7 for 61, but 4 more than 2 at most -> 6"),
    pytest.param(10, 0, 250.0, 20, id="250 over 10 each -> 25, but twice 10 at most -> 20"),
    pytest.param(3, 0, 65.0, 7, id="65 over 10 each, rounded up -> 7 = 3 + 4"),
    pytest.param(4, 0, 44.0, 4, id="44 on 4 is 1.10 of the target: tolerated"),
    pytest.param(4, 0, 45.0, 5, id="45 on 4 is 1.125 of the target -> 5"),
    pytest.param(4, 0, 36.0, 4, id="36 on 4 is 0.90 of the target: tolerated"),
    pytest.param(4, 2, 50.0, 6, id="1.25 on 4 ready, but 0.83 with the 2 unready: held at 6"),
    pytest.param(4, 2, 65.0, 6, id="1.63 on 4 ready, 1.08 with the 2 unready: tolerated at 6"),
    pytest.param(4, 2, 90.0, 9, id="1.5 with the 2 unready counted as idle -> 9"),
    pytest.param(0, 3, 90.0, 3, id="nothing ready, nothing measured: held at 3"),
    pytest.param(3, 0, None, 3, id="no metric: held at 3"),
]


@pytest.mark.parametrize(("ready", "unready", "in_flight", "expected"), BY_METRIC)
def test_one_synchronization(ready, unready, in_flight, expected):
    inputs = HpaInputs(at=0.0, in_flight=in_flight, ready=ready, unready=unready)
    _, replicas = decide_hpa(TEN, HpaState(), inputs)
    assert replicas == expected


def _walk(metrics, *, ready, every=15.0):
    state, counts = HpaState(), []
    for tick, in_flight in enumerate(metrics):
        inputs = HpaInputs(at=tick * every, in_flight=in_flight, ready=ready)
        state, ready = decide_hpa(TEN, state, inputs)
        counts.append(ready)
    return counts


def test_a_burst_is_followed_at_once_and_left_300_s_after_it():
    # 20 synchronizations of 15 s after the burst are 300 s: its 8 have then left the window.
    counts = _walk([20.0, 80.0, *[20.0] * 21], ready=4)
    assert counts[:2] == [4, 8]
    assert counts[2:21] == [8] * 19
    assert counts[21] == 2


def test_the_way_down_takes_the_most_of_the_window_step_by_step():
    # 8 asked for at 15 s, 5 at 30 s: at 315 s only the 5 is left of the two.
    counts = _walk([80.0, 80.0, 50.0, *[10.0] * 21], ready=8)
    assert counts[20] == 8
    assert counts[21] == 5
    assert counts[22] == 1


def test_a_restart_does_not_shrink_before_300_s():
    assert _walk([0.0] * 21, ready=6) == [6] * 20 + [1]
