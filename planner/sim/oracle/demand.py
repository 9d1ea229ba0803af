"""How many replicas each moment would need: what a fluid model says before anything is simulated.

Time is cut into bins of a quarter of a second. Of every step of the grid we want to know how many
requests miss the SLA if so many replicas serve: those that arrive in bins which need more.
"""

from collections.abc import Mapping

import numpy as np

from planner.core.engine import EngineModel
from planner.core.role import Role
from planner.core.sla import Sla
from planner.sim.oracle.grid import Floats, Grid, Ints
from planner.sim.run import Scenario
from planner.traces import Trace

_BIN = 0.25
_LOOK_BACK = 240
"""Bins: a minute of backlog."""
_STEPS_TO_JOIN = 1.5
"""A prefilled prompt waits for half a decode step and gets its first token after a whole one."""


def misses(
    trace: Trace, scenario: Scenario, grid: Grid, *, provision: Mapping[Role, float]
) -> list[Floats]:
    """Return, for each role of the grid, the misses of each step (row) with so many replicas.

    The need is taken to be a role's *provision* times what the model says; once where it has none.
    """
    bins = (trace.arrival_seconds / _BIN).astype(np.int64)
    counted = np.bincount(bins, weights=trace.arrival_seconds >= grid.start)
    return [
        _table(
            provision.get(role, 1.0) * _demand(trace, scenario, role, bins),
            np.asarray(counted),
            grid,
        )
        for role in grid.roles
    ]


def _demand(trace: Trace, scenario: Scenario, role: Role, bins: Ints) -> Floats:
    model, sla = scenario.models[role], scenario.sla
    if role is Role.PREFILL:
        return prefill_demand(trace, model, sla, bins)
    decode = decode_demand(trace, model, sla, bins)
    if role is Role.AGGREGATED:
        decode = decode + prefill_demand(trace, model, sla, bins)
    return decode


def _table(demand: Floats, arrived: Floats, grid: Grid) -> Floats:
    """Return misses by step and replicas, from none to as many as the demand ever is."""
    most = max(1, int(np.ceil(demand.max(initial=1.0))))
    need = np.clip(np.ceil(demand), 0, most).astype(np.int64)
    step = np.minimum(
        (np.arange(len(demand)) * _BIN / grid.interval).astype(np.int64), grid.steps - 1
    )
    counts = np.zeros((grid.steps, most + 1))
    np.add.at(counts, (step, need), arrived[: len(demand)])
    # With n replicas, those bins miss that need more than n.
    above: Floats = counts.sum(axis=1, keepdims=True) - np.cumsum(counts, axis=1)
    return above


def prefill_demand(trace: Trace, model: EngineModel, sla: Sla, bins: Ints) -> Floats:
    """Return, for every bin, the replicas that would have kept TTFT for what arrived until then.

    For any span that ends there: its work has to be done within the span and the slack that TTFT
    leaves (Horn's bound). A request cannot use two replicas, so its work is spread over at least
    as much time as it takes.
    """
    isl = trace.isl.astype(np.float64)
    own = isl * (model.prefill.token_seconds + model.prefill.token_squared_seconds * isl)
    budget, mean = model.limits.max_num_batched_tokens, float(isl.mean())
    filled = max(budget / 2, budget - min(mean, budget) / 2)
    work = spread(bins, own + model.prefill.base_seconds * isl / filled)
    slack = _slack(own, model, sla)
    total = np.concatenate([[0.0], np.cumsum(work)])
    demand = np.zeros(len(work))
    for back in range(min(_LOOK_BACK, len(work))):
        span = total[1 + back :] - total[: len(total) - 1 - back]
        demand[back:] = np.maximum(demand[back:], span / ((back + 0.5) * _BIN + slack))
    return demand


def spread(bins: Ints, work: Floats) -> Floats:
    """Return the *work* of each bin when no request gets more than a bin's time in any bin."""
    longest = int(np.ceil(work.max(initial=0.0) / _BIN))
    total = np.zeros(int(bins[-1]) + 1 + longest)
    left = work.copy()
    place = bins.copy()
    while len(left):
        np.add.at(total, place, np.minimum(left, _BIN))
        more = left > _BIN
        left, place = left[more] - _BIN, place[more] + 1
    return total[: int(bins[-1]) + 1]


def _slack(own: Floats, model: EngineModel, sla: Sla) -> float:
    """Return what TTFT leaves to wait for most requests: a low percentile of it."""
    if sla.ttft_seconds is None:
        return _LOOK_BACK * _BIN
    join = _STEPS_TO_JOIN * (sla.itl_seconds or 0.0)
    left = sla.ttft_seconds - join - model.prefill.base_seconds - own
    return max(_BIN / 2, float(np.percentile(left, 10)))


def decode_demand(trace: Trace, model: EngineModel, sla: Sla, bins: Ints) -> Floats:
    """Return, for every bin, the replicas among which decoding requests keep ITL and fit.

    ITL is a mean over a request's life: what counts is the load averaged over as long.
    """
    isl, osl = trace.isl.astype(np.float64), trace.osl.astype(np.float64)
    context = isl + osl / 2
    share_of_memory = np.ceil((isl + osl) / model.limits.block_size) / model.kv_blocks
    share_of_memory = np.maximum(share_of_memory, 1 / model.limits.max_num_seqs)
    marginal = model.decode.request_seconds + model.decode.kv_token_seconds * context
    # A full memory may be quicker than ITL asks for.
    full = model.decode.base_seconds + float(marginal.sum() / share_of_memory.sum())
    pace = full if sla.itl_seconds is None else min(full, sla.itl_seconds)
    room = max(pace - model.decode.base_seconds, 1e-9)
    load = np.maximum(marginal / room, share_of_memory)
    exact = (osl - 1) * pace / _BIN
    stay = np.maximum(1, np.rint(exact)).astype(np.int64)
    load *= exact / stay
    change = np.zeros(int(bins[-1]) + 2 + int(stay.max(initial=1)))
    np.add.at(change, bins, load)
    np.add.at(change, bins + stay, -load)
    held = np.cumsum(change)[: int(bins[-1]) + 1]
    window = max(1, int(np.mean(stay)))
    total = np.concatenate([np.zeros(window), np.cumsum(held)])
    mean: Floats = (total[window:] - total[:-window]) / window
    return mean
