"""The SLA attainment that a fleet would reach under a steady load."""

from collections.abc import Mapping

from planner.core.demand import (
    decode_work_seconds,
    engine_share,
    own_ttft_seconds,
    prefill_seconds,
    squared_prefill_seconds,
)
from planner.core.engine import EngineModel
from planner.core.queueing import poisson_at_most, wait
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.workload import Workload


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
    share = 1.0
    for role, engine in engines.items():
        share *= role_attainment(role, engine, sla, workload, replicas=replicas.get(role, 0))
    return share


def role_attainment(
    role: Role, engine: EngineModel, sla: Sla, workload: Workload, *, replicas: int
) -> float:
    """Return the share of requests for which *role* does its part of *sla* in time."""
    if not workload.rate_rps:
        return best_attainment(role, engine, sla, workload)
    if not replicas:
        return 0.0
    if role is Role.PREFILL:
        return _ttft_attainment(role, engine, sla, workload, replicas=replicas)
    itl = _itl_attainment(role, engine, sla, workload, replicas=replicas)
    if role is Role.DECODE:
        return itl
    return itl * _ttft_attainment(role, engine, sla, workload, replicas=replicas)


def _ttft_attainment(
    role: Role, engine: EngineModel, sla: Sla, workload: Workload, *, replicas: int
) -> float:
    """Return the share of prompts whose wait and own prefill fit into the TTFT target."""
    if sla.ttft_seconds is None:
        return 1.0
    free = _free_share(role, engine, workload, replicas=replicas)
    if free <= 0:
        return 0.0
    service = prefill_seconds(engine, workload) / free
    squared = squared_prefill_seconds(engine, workload) / prefill_seconds(engine, workload) ** 2
    queue = wait(
        replicas,
        workload.rate_rps * service,
        service_seconds=service,
        variability=squared / 2,  # Poisson arrivals: ca^2 is 1 and cs^2 is squared - 1
    )
    late = sum(
        share * queue.above(sla.ttft_seconds - own_ttft_seconds(role, engine, sla, isl))
        for share, isl in workload.isl_strata()
    )
    return max(0.0, 1 - late)


def _free_share(role: Role, engine: EngineModel, workload: Workload, *, replicas: int) -> float:
    """Return the share of an engine's time that is left to prefill."""
    if role is Role.PREFILL:
        return 1.0
    return 1 - workload.rate_rps * decode_work_seconds(engine, workload) / replicas


def _itl_attainment(
    role: Role, engine: EngineModel, sla: Sla, workload: Workload, *, replicas: int
) -> float:
    """Return the share of requests decoded in batches within the ITL target and the KV cache.

    Requests in flight are Poisson however long each stays; a replica holds the batch at which its
    share of the load is used up.
    """
    load = workload.rate_rps * engine_share(role, engine, sla, workload)
    batch = engine.decode_batch(sla.itl_seconds, workload.context_tokens)
    if not batch:
        return 0.0
    return poisson_at_most(replicas * batch, load * batch)


def best_attainment(role: Role, engine: EngineModel, sla: Sla, workload: Workload) -> float:
    """Return the attainment of *role* with replicas without end: nobody waits, nobody shares."""
    itl = 1.0 if role is Role.PREFILL else float(_holds_one(engine, sla, workload))
    if role is Role.DECODE or sla.ttft_seconds is None:
        return itl
    strata = workload.isl_strata()
    late = sum(
        s for s, isl in strata if own_ttft_seconds(role, engine, sla, isl) > sla.ttft_seconds
    )
    return itl * (1 - late)


def _holds_one(engine: EngineModel, sla: Sla, workload: Workload) -> bool:
    return engine.decode_batch(sla.itl_seconds, workload.context_tokens) > 0
