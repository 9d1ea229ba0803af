"""The least GPU time that any policy could need, whatever it knows."""

import numpy as np

from planner.core.role import Role
from planner.sim.oracle.grid import Floats
from planner.sim.run import Scenario
from planner.traces import Trace


def work_bound(
    trace: Trace, scenario: Scenario, *, attainment: float, start_seconds: float
) -> float:
    """Return the GPU-hours of computation without which *attainment* is impossible.

    A prompt costs what it adds to its batch and its share of the base of full ones. A token
    costs least in the longest step that ITL allows: the base is shared by the fullest batch. What
    can be done after the last arrival is not counted, and the share of requests that may miss is
    taken to be the dearest.
    """
    isl, osl = trace.isl.astype(np.float64), trace.osl.astype(np.float64)
    work = _prefill(isl, scenario) + _decode(isl, osl, scenario)
    ttft, itl = scenario.sla.ttft_seconds, scenario.sla.itl_seconds
    latest = np.full(len(trace), np.inf) if ttft is None else trace.arrival_seconds + ttft
    latest = latest + np.where(osl > 1, (osl - 1) * (np.inf if itl is None else itl), 0.0)
    counted = trace.arrival_seconds >= start_seconds
    inside = np.where(latest <= trace.duration_seconds, work, 0.0)[counted]
    spared = int((1 - attainment) * len(inside) + 1e-9)
    return float(np.sort(inside)[: len(inside) - spared].sum()) / 3600


def _prefill(isl: Floats, scenario: Scenario) -> Floats:
    role = Role.AGGREGATED if Role.AGGREGATED in scenario.models else Role.PREFILL
    model = scenario.models[role]
    work = isl * (model.prefill.token_seconds + model.prefill.token_squared_seconds * isl)
    if role is Role.PREFILL:  # aggregated, the base may be the decode step's
        work = work + model.prefill.base_seconds * isl / model.limits.max_num_batched_tokens
    return np.asarray(work * scenario.gpus_per_replica.get(role, 1))


def _decode(isl: Floats, osl: Floats, scenario: Scenario) -> Floats:
    role = Role.AGGREGATED if Role.AGGREGATED in scenario.models else Role.DECODE
    law, itl = scenario.models[role].decode, scenario.sla.itl_seconds
    tokens = osl - 1  # the first one is judged by TTFT
    work = tokens * (law.request_seconds + law.kv_token_seconds * (isl + osl / 2))
    if role is Role.DECODE and itl is not None and itl > law.base_seconds:
        work = work * itl / (itl - law.base_seconds)
    return np.asarray(work * scenario.gpus_per_replica.get(role, 1))
