"""What one replica holds, against the distributions that it stands for."""

from dataclasses import replace
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.core.engine import DecodeLaw
from planner.core.observation import RoleLoad
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.workload import Workload
from planner.peers.held import held_in_flight, in_flight

MEAN = Workload(rate_rps=1.0, isl=1000, osl=100)
SLA = Sla.parse("ttft=500ms,itl=50ms")

IN_FLIGHT = [
    pytest.param(None, None, id="no load is unknown"),
    pytest.param(RoleLoad(), None, id="an engine that says nothing is unknown"),
    pytest.param(RoleLoad(waiting=3), 3, id="3 waiting, nobody ready"),
    pytest.param(RoleLoad(waiting=3, running=4), 7, id="3 waiting and 4 running -> 7"),
]


@pytest.mark.parametrize(("load", "expected"), IN_FLIGHT)
def test_in_flight(load, expected):
    assert in_flight(load) == expected


def test_without_a_base_it_is_m_m_1(round_engine):
    # 50 requests at 1 ms each fill 50 ms: load^51 = 0.01 -> 0.9137, a mean of 0.9137 / 0.0863.
    bare = DecodeLaw(base_seconds=0.0, request_seconds=0.001, kv_token_seconds=0.0)
    load = 0.01 ** (1 / 51)
    held = held_in_flight(Role.DECODE, replace(round_engine, decode=bare), SLA, MEAN)
    assert held == pytest.approx(load / (1 - load), rel=1e-3)


def test_with_a_base_the_number_is_negative_binomial(round_engine):
    # 10 + n ms a step: 10 + 1 successes; 40 fill 50 ms. 99 % of the time there are at most 40.
    held = held_in_flight(Role.DECODE, round_engine, SLA, MEAN)
    load = held / (11 + held)
    inside = sum(comb(n + 10, n) * load**n * (1 - load) ** 11 for n in range(41))
    assert inside == pytest.approx(0.99, abs=1e-4)


def test_at_half_its_rate_a_replica_holds_less_than_half(round_engine):
    full = held_in_flight(Role.DECODE, round_engine, SLA, MEAN)
    load = full / (11 + full)
    half = held_in_flight(Role.DECODE, round_engine, SLA, MEAN, headroom=2.0)
    assert half == pytest.approx(11 * (load / 2) / (1 - load / 2), rel=1e-3)
    assert half < full / 2


@given(
    st.sampled_from(list(Role)),
    st.floats(10, 20000),
    st.floats(1, 2000),
    st.floats(0.3, 10),
    st.floats(0.5, 4),
)
def test_more_headroom_never_holds_more(round_engine, role, isl, osl, ttft, headroom):
    mean = Workload(rate_rps=1.0, isl=isl, osl=osl, isl_squared=2 * isl**2)
    sla = Sla(ttft_seconds=ttft, itl_seconds=0.05)
    less = held_in_flight(role, round_engine, sla, mean, headroom=headroom * 1.1)
    more = held_in_flight(role, round_engine, sla, mean, headroom=headroom)
    assert 0 < less <= more
