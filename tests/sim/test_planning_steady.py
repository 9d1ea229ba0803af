"""A load that never changes is not scaled, once it is known: what it needs differs by chance."""

from itertools import pairwise

import numpy as np
import pytest

from planner.core.decide import PolicyConfig, PolicyState, decide
from planner.core.observation import Arrivals, Observation, Replicas, RoleLoad, Traffic
from planner.core.role import Role
from planner.core.sla import Sla
from planner.profiles import load_profile

pytestmark = pytest.mark.sim

PROFILE = load_profile("llama-3.1-8b-fp8-h200")
CONFIG = PolicyConfig(
    sla=Sla(ttft_seconds=0.5, itl_seconds=0.05, attainment=0.99), cold_start_seconds=90.0
)
BINS, BIN_SECONDS = 20, 0.25
ISL_LOG, OSL = (6.755, 0.77), 211
SETTLING_HOURS, WATCHED_HOURS = 6, 4


def interval(counts, rng):
    """Return the traffic of 5 s in which *counts* requests arrived by bins, all served in time."""
    arrived = int(counts.sum())
    isl = rng.lognormal(*ISL_LOG, arrived)
    place = np.repeat(np.arange(BINS), counts)
    by_bins = np.bincount(place, isl, minlength=BINS), np.bincount(place, isl**2, minlength=BINS)
    tokens, squared = (tuple(int(x) for x in sums) for sums in by_bins)
    return Traffic(
        seconds=BINS * BIN_SECONDS,
        arrived=arrived,
        isl_sum=sum(tokens),
        isl_squared_sum=sum(squared),
        finished=arrived,
        osl_sum=arrived * OSL,
        context_osl_sum=arrived * OSL * 1260.0,
        within_sla=arrived,
        ttft_sum=arrived * 0.1,
        ttft_count=arrived,
        itl_sum=arrived * 0.03,
        itl_count=arrived,
        arrivals=Arrivals(
            bin_seconds=BIN_SECONDS,
            counts=tuple(counts.tolist()),
            isl=tokens,
            isl_squared=squared,
        ),
    )


@pytest.mark.parametrize("rate_rps", [7.0, 60.0])
def test_a_steady_load_is_not_scaled_once_it_is_known(rate_rps):
    rng = np.random.default_rng(1)
    state, fleet, fleets = PolicyState(), {Role.PREFILL: 2, Role.DECODE: 2}, []
    looks = (SETTLING_HOURS + WATCHED_HOURS) * 3600 // 5
    for number, counts in enumerate(rng.poisson(rate_rps * BIN_SECONDS, (looks, BINS)), start=1):
        seen = Observation(
            at=number * 5.0,
            fleet={role: Replicas(ready=count) for role, count in fleet.items()},
            traffic=interval(counts, rng),
            load={role: RoleLoad() for role in fleet},
        )
        state, plan = decide(CONFIG, PROFILE, state, seen)
        fleet = plan.desired
        if number > SETTLING_HOURS * 720:
            fleets.append(fleet)
    changes = [(before, after) for before, after in pairwise(fleets) if before != after]
    assert not changes
