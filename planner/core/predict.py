"""The SLA attainment that a fleet would reach under a steady load."""

from collections.abc import Mapping
from math import prod

from planner.core.demand import own_ttft_seconds
from planner.core.engine import EngineModel
from planner.core.itl import itl_attainment, mean_step_seconds
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.ttft import ttft_attainment
from planner.core.workload import Workload

# An average that fades for an hour of silence gets near 0; products of it then are 0.
_LEAST_RATE_RPS = 1e-12


def attainment(
    engines: Mapping[Role, EngineModel],
    sla: Sla,
    workload: Workload,
    *,
    replicas: Mapping[Role, int],
) -> float:
    """Return the predicted share of requests inside *sla* with *replicas* of each role.

    TTFT and ITL are taken as independent. More replicas never lower it, more rate or a tighter
    target never raise it.
    """
    return prod(attainment_by_role(engines, sla, workload, replicas=replicas).values())


def attainment_by_role(
    engines: Mapping[Role, EngineModel],
    sla: Sla,
    workload: Workload,
    *,
    replicas: Mapping[Role, int],
) -> dict[Role, float]:
    """Return the share of requests for which each role does its part in time; see `attainment`."""
    step = None
    if Role.DECODE in engines:
        decode, count = engines[Role.DECODE], replicas.get(Role.DECODE, 0)
        step = mean_step_seconds(Role.DECODE, decode, workload, replicas=count)
    return {
        role: role_attainment(
            role, engine, sla, workload, replicas=replicas.get(role, 0), step_seconds=step
        )
        for role, engine in engines.items()
    }


def role_attainment(
    role: Role,
    engine: EngineModel,
    sla: Sla,
    workload: Workload,
    *,
    replicas: int,
    step_seconds: float | None = None,
) -> float:
    """Return the share of requests for which *role* does its part of *sla* in time.

    For prefill, *step_seconds* is the mean step of the decode replicas; None takes idle ones.
    """
    if workload.rate_rps < _LEAST_RATE_RPS:
        return best_attainment(role, engine, sla, workload)
    if not replicas:
        return 0.0
    if role is Role.DECODE:
        return itl_attainment(role, engine, sla, workload, replicas=replicas)
    if role is Role.AGGREGATED:
        step_seconds = mean_step_seconds(role, engine, workload, replicas=replicas)
    step = engine.decode.base_seconds if step_seconds is None else step_seconds
    ttft = ttft_attainment(role, engine, sla, workload, replicas=replicas, step_seconds=step)
    if role is Role.PREFILL:
        return ttft
    return ttft * itl_attainment(role, engine, sla, workload, replicas=replicas)


def best_attainment(role: Role, engine: EngineModel, sla: Sla, workload: Workload) -> float:
    """Return the attainment of *role* with replicas without end: nobody waits, nobody shares."""
    itl = 1.0 if role is Role.PREFILL else float(_holds_one(engine, sla, workload))
    if role is Role.DECODE or sla.ttft_seconds is None:
        return itl
    return itl * (1 - _late_alone(role, engine, workload, ttft_seconds=sla.ttft_seconds))


def _late_alone(
    role: Role, engine: EngineModel, workload: Workload, *, ttft_seconds: float
) -> float:
    """Return the share of prompts that are late without any wait: those from some length on."""
    if own_ttft_seconds(role, engine, workload.isl_longest) <= ttft_seconds:
        return 0.0
    late: list[float] = []
    for share, isl in reversed(workload.isl_strata()):
        if own_ttft_seconds(role, engine, isl) <= ttft_seconds:
            break
        late.append(share)
    return sum(reversed(late))


def _holds_one(engine: EngineModel, sla: Sla, workload: Workload) -> bool:
    return engine.decode_batch(sla.itl_seconds, workload.context_tokens) > 0
