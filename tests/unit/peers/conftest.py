"""An engine with round numbers, and observations of fleets under a steady load."""

from collections.abc import Callable, Mapping

import pytest

from planner.core.engine import DecodeLaw, EngineLimits, EngineModel, PrefillLaw
from planner.core.observation import Observation, Replicas, RoleLoad, Traffic
from planner.core.policy import Bounds
from planner.core.role import Role
from planner.core.sla import Sla
from planner.peers.deployment import Deployment


@pytest.fixture(scope="session")
def round_engine() -> EngineModel:
    """100 ms and 0.1 ms a prompt token; a decode step of 10 ms, 1 ms a request, free context."""
    return EngineModel(
        prefill=PrefillLaw(base_seconds=0.1, token_seconds=1e-4, token_squared_seconds=0.0),
        decode=DecodeLaw(base_seconds=0.010, request_seconds=0.001, kv_token_seconds=0.0),
        limits=EngineLimits(
            max_num_batched_tokens=8000,
            max_num_seqs=100,
            block_size=16,
            kv_capacity_tokens=1_600_000,
            kv_bytes_per_token=1,
            transfer_bytes_per_second=1e12,
        ),
    )


@pytest.fixture(scope="session")
def round_deployment(round_engine) -> Deployment:
    """Prefill and decode on that engine, one GPU each: TTFT 500 ms, ITL 50 ms."""
    roles = (Role.PREFILL, Role.DECODE)
    return Deployment(
        engines=dict.fromkeys(roles, round_engine),
        sla=Sla.parse("ttft=500ms,itl=50ms"),
        bounds=dict.fromkeys(roles, Bounds()),
        gpus=dict.fromkeys(roles, 1),
    )


@pytest.fixture(scope="session")
def steady() -> Callable[..., Observation]:
    """Return an observation of 5 s at a rate: what a fleet with room to spare would show of it."""

    def observation(
        at: float, rate: float, fleet: Mapping[Role, int], *, isl: float = 1000, osl: float = 200
    ) -> Observation:
        count = round(5 * rate)
        traffic = Traffic(
            seconds=5.0,
            arrived=count,
            isl_sum=count * isl,
            isl_squared_sum=1.5 * count * isl**2,
            finished=count,
            osl_sum=count * osl,
            context_osl_sum=count * (isl + osl / 2) * osl,
            within_sla=count,
            ttft_sum=0.1 * count,
            ttft_count=count,
            itl_sum=0.02 * count,
            itl_count=count,
        )
        seconds = {Role.PREFILL: 0.05, Role.DECODE: 0.02 * osl, Role.AGGREGATED: 0.02 * osl}
        load = {
            role: RoleLoad(waiting=0, running=round(rate * seconds[role]), kv_usage=0.01 * rate)
            for role in fleet
        }
        replicas = {role: Replicas(ready=ready) for role, ready in fleet.items()}
        return Observation(at=at, fleet=replicas, traffic=traffic if at else None, load=load)

    return observation
