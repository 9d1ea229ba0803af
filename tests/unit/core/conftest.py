"""What the tests of the core share: unhurried law tests, and observations to decide on."""

import pytest
from hypothesis import HealthCheck, settings

from planner.core.observation import Observation, Replicas, RoleLoad, Traffic
from planner.core.role import Role

# A shared machine stalls now and then, which is no fact about the code.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def _traffic(rate_rps, *, seconds=5.0, isl=1000.0, osl=200.0, on_time=1.0):
    arrived = round(rate_rps * seconds)
    return Traffic(
        seconds=seconds,
        arrived=arrived,
        isl_sum=arrived * isl,
        isl_squared_sum=arrived * isl**2,
        finished=arrived,
        osl_sum=arrived * osl,
        context_osl_sum=arrived * (isl + osl / 2) * osl,
        within_sla=round(arrived * on_time),
        ttft_sum=arrived * 0.1,
        ttft_count=arrived,
        itl_sum=arrived * 0.01,
        itl_count=arrived,
    )


def _observation(at, rate_rps, fleet, **options):
    """Return a look *at* a time; fleet maps roles to counts or Replicas, rate None is unknown."""
    load = options.pop("load", {role: RoleLoad(waiting=0, running=0) for role in fleet})
    age_seconds = options.pop("age_seconds", 0.0)
    return Observation(
        at=at,
        fleet={
            role: count if isinstance(count, Replicas) else Replicas(ready=count)
            for role, count in fleet.items()
        },
        traffic=None if rate_rps is None else _traffic(rate_rps, **options),
        load=load,
        age_seconds=age_seconds,
    )


@pytest.fixture(scope="session")
def look():
    """Return the maker of observations."""
    return _observation


@pytest.fixture(scope="session")
def pair():
    """Return the maker of fleets of prefill and decode replicas."""
    return lambda prefill, decode: {Role.PREFILL: prefill, Role.DECODE: decode}
