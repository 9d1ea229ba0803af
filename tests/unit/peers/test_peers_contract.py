"""What every rule has to keep, whoever wrote it down first."""

from itertools import pairwise

import pytest

from planner.core.observation import Observation, Replicas
from planner.core.policy import Bounds, PolicyConfig
from planner.core.role import Role
from planner.core.sla import Sla
from planner.peers import PEERS
from planner.profiles import load_profile

PROFILE = load_profile("llama-3.1-8b-fp8-h200")
CONFIG = PolicyConfig(sla=Sla.parse("ttft=500ms,itl=50ms"), cold_start_seconds=90.0)
P, D, A = Role.PREFILL, Role.DECODE, Role.AGGREGATED


@pytest.fixture(params=sorted(PEERS))
def peer(request):
    return PEERS[request.param]


@pytest.fixture
def run(steady):
    """Return a walk at *rates*, one every 5 s, of a fleet that obeys at once: its sizes."""

    def walk(policy, rates, *, fleet, **lengths):
        fleets = []
        for tick, rate in enumerate(rates):
            fleet = dict(policy(steady(5.0 * tick, rate, fleet, **lengths)))
            fleets.append(fleet)
        return fleets

    return walk


def test_names_are_sorted_and_their_own():
    assert list(PEERS) == sorted(PEERS)
    assert all(name == peer.name for name, peer in PEERS.items())
    assert list(PEERS) == ["dynamo-loops", "dynamo-throughput", "hpa", "kpa", "wva"]


def test_every_peer_says_where_it_was_read():
    assert all(peer.title and peer.source and peer.defaults for peer in PEERS.values())


def test_steady_load_settles(peer, run):
    fleets = run(peer.make(CONFIG, PROFILE), [80.0] * 400, fleet={P: 8, D: 8})
    assert len({tuple(fleet.values()) for fleet in fleets[-120:]}) == 1


def test_more_load_never_settles_lower(peer, run):
    settled = [
        run(peer.make(CONFIG, PROFILE, headroom=1.5), [rate] * 200, fleet={P: 4, D: 4})[-1]
        for rate in (0.0, 20.0, 40.0, 80.0, 160.0, 320.0)
    ]
    for role in (P, D):
        assert all(less[role] <= more[role] for less, more in pairwise(settled))
        assert settled[-1][role] > settled[0][role]


def test_more_headroom_never_settles_lower(peer, run):
    settled = [
        run(peer.make(CONFIG, PROFILE, headroom=headroom), [160.0] * 200, fleet={P: 4, D: 4})[-1]
        for headroom in (0.8, 1.0, 1.5, 2.5)
    ]
    for role in (P, D):
        assert all(less[role] <= more[role] for less, more in pairwise(settled))


def test_no_traffic_goes_to_the_minimum(peer, run):
    config = PolicyConfig(sla=CONFIG.sla, bounds={P: Bounds(minimum=2), D: Bounds(minimum=1)})
    rates = [40.0] * 80 + [0.0] * 160
    assert run(peer.make(config, PROFILE), rates, fleet={P: 6, D: 6})[-1] == {P: 2, D: 1}


def test_unknown_traffic_holds(peer):
    policy = peer.make(CONFIG, PROFILE)
    fleet = {P: Replicas(ready=3, starting=1), D: Replicas(ready=5, draining=2)}
    for tick in range(100):
        assert policy(Observation(at=5.0 * tick, fleet=fleet)) == {P: 4, D: 5}


def test_traffic_that_is_lost_holds_what_was_said(peer, run, steady):
    policy = peer.make(CONFIG, PROFILE)
    said = run(policy, [80.0] * 80, fleet={P: 4, D: 4})[-1]
    fleet = {role: Replicas(ready=count) for role, count in said.items()}
    for tick in range(80, 200):
        assert policy(Observation(at=5.0 * tick, fleet=fleet)) == said


def test_bounds_hold(peer, run):
    config = PolicyConfig(
        sla=CONFIG.sla, bounds={P: Bounds(minimum=2, maximum=3), D: Bounds(minimum=3, maximum=4)}
    )
    rates = [0.0] * 90 + [5000.0] * 90 + [0.0] * 90
    fleets = run(peer.make(config, PROFILE), rates, fleet={P: 2, D: 3})
    assert all(2 <= fleet[P] <= 3 and 3 <= fleet[D] <= 4 for fleet in fleets)
    assert {P: 3, D: 4} in fleets


def test_the_gpu_budget_holds(peer, run):
    config = PolicyConfig(sla=CONFIG.sla, max_gpus=6)
    rates = [10.0] * 60 + [5000.0] * 90 + [10.0] * 60
    fleets = run(peer.make(config, PROFILE), rates, fleet={P: 1, D: 1})
    assert all(sum(fleet.values()) <= 6 for fleet in fleets)
    assert max(sum(fleet.values()) for fleet in fleets) == 6


def test_equal_observations_give_equal_answers(peer, run):
    rates = [20.0 + 7 * (tick % 31) for tick in range(200)]
    first, second = (run(peer.make(CONFIG, PROFILE), rates, fleet={P: 2, D: 2}) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", [name for name in PEERS if name != "dynamo-throughput"])
def test_aggregated_replicas_are_served_too(name, run):
    config = PolicyConfig(sla=CONFIG.sla, bounds={A: Bounds()})
    few, many = (
        run(PEERS[name].make(config, PROFILE, headroom=1.5), [rate] * 200, fleet={A: 4})[-1][A]
        for rate in (10.0, 200.0)
    )
    assert 1 <= few < many
