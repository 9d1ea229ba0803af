"""What no number of replicas can change: an engine's own time for a single request."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from math import ceil

from planner.core.demand import own_ttft_seconds
from planner.core.engine import EngineModel
from planner.core.predict import best_attainment
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.workload import Workload
from planner.errors import ConfigError, SlaInfeasible

# Room that a nearest target leaves for rounding, and for a little waiting.
_MARGIN = 1.05


def nearest_feasible(
    engines: Mapping[Role, Sequence[EngineModel]], sla: Sla, workload: Workload
) -> Sla:
    """Return *sla* with its targets relaxed as far as the best of each role's *engines* needs.

    A target that can be met stays as it is. Raises ConfigError where a target would be longer than
    targets may be.
    """
    itl, ttft = sla.itl_seconds, sla.ttft_seconds
    for role, candidates in engines.items():
        if itl is not None and role is not Role.PREFILL:
            itl = max(itl, min(_least_itl(engine, sla, workload) for engine in candidates))
    relaxed = replace(sla, itl_seconds=itl)
    for role, candidates in engines.items():
        if ttft is not None and role is not Role.DECODE:
            least = (_least_ttft(role, engine, relaxed, workload) for engine in candidates)
            ttft = max(ttft, min(least))
    return replace(relaxed, ttft_seconds=ttft)


def _least_itl(engine: EngineModel, sla: Sla, workload: Workload) -> float:
    if engine.decode_batch(sla.itl_seconds, workload.context_tokens):
        return 0.0
    return _rounded_up(engine.decode.step_seconds(1, workload.context_tokens))


def _least_ttft(role: Role, engine: EngineModel, sla: Sla, workload: Workload) -> float:
    """Return the TTFT of the shortest prompt that enough prompts are no longer than."""
    if best_attainment(role, engine, sla, workload) >= _enough(sla):
        return 0.0
    strata = workload.isl_strata()
    below = accumulate(share for share, _ in strata)
    enough = (isl for share, (_, isl) in zip(below, strata, strict=True) if share >= _enough(sla))
    return _rounded_up(own_ttft_seconds(role, engine, next(enough, strata[-1][1])))


def _enough(sla: Sla) -> float:
    """Return the share of prompts to provide for: a bit above the SLA's, for the waits' sake."""
    return sla.attainment + (1 - sla.attainment) / 4


def _rounded_up(seconds: float) -> float:
    """Return *seconds* with a margin, in whole milliseconds."""
    return ceil(seconds * _MARGIN * 1e3) / 1e3


def infeasible(
    engines: Mapping[Role, Sequence[EngineModel]], sla: Sla, workload: Workload
) -> SlaInfeasible:
    """Return the error for an SLA that no number of replicas meets, naming the nearest."""
    tokens = workload.isl + workload.osl
    candidates = [e for role, group in engines.items() if role is not Role.PREFILL for e in group]
    if candidates and not any(engine.batch_limit(tokens) for engine in candidates):
        most = max(engine.limits.kv_capacity_tokens for engine in candidates)
        return SlaInfeasible(
            f"{sla}: a request of {tokens:.0f} tokens does not fit into a KV cache of {most}",
            hint="use a larger parallelism or shorter requests",
        )
    unmet = f"{sla}: no number of replicas meets it for prompts of {workload.isl:.0f} tokens"
    try:
        nearest = nearest_feasible(engines, sla, workload)
    except ConfigError:
        return SlaInfeasible(
            f"{unmet}, and the nearest that is met is no target any more",
            hint="use a larger parallelism or shorter prompts",
        )
    return SlaInfeasible(f"{unmet}; the nearest that is met is {nearest}", hint=f"--sla {nearest}")
