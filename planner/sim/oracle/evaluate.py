"""What a schedule would come to: misses and GPU time of every step."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from planner.core.role import Role
from planner.sim.oracle import replay
from planner.sim.oracle.grid import Floats, Grid, Ints, Schedule
from planner.sim.oracle.records import (
    READY,
    Decode,
    Laws,
    Prefill,
    Request,
    Shared,
    World,
    table,
)
from planner.sim.result import SimResult
from planner.sim.run import Scenario, simulate
from planner.traces import Trace


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """Misses and GPU seconds by step, of what counts; of *requests* in all."""

    misses: Floats
    gpu_seconds: Floats
    requests: int

    @property
    def attainment(self) -> float:
        """Share of requests that met the SLA."""
        return 1.0 - float(self.misses.sum()) / max(1, self.requests)

    @property
    def cost(self) -> float:
        """GPU seconds in all."""
        return float(self.gpu_seconds.sum())

    def objective(self, price: float) -> float:
        """Return the GPU seconds plus *price* for every miss."""
        return self.cost + price * float(self.misses.sum())


_BASICS = (
    "sla",
    "models",
    "initial",
    "gpus_per_replica",
    "cold_start_seconds",
    "interval_seconds",
    "hands_off_seconds",
    "patience_seconds",
)
"""What the replay knows of a scenario."""


class Evaluate(Protocol):
    """Anything that tells what a schedule comes to."""

    def __call__(self, schedule: Schedule) -> Outcome:
        """Return the outcome of *schedule*."""
        ...


def evaluator(trace: Trace, scenario: Scenario, grid: Grid) -> Evaluate:
    """Return the quickest evaluation that is true for *scenario*."""
    if _is_plain(scenario):
        return Replay(trace, scenario, grid)
    return Simulated(trace, scenario, grid)


def _is_plain(scenario: Scenario) -> bool:
    """Return whether nothing but the fleet itself shapes the run: what the replay knows."""
    basics = {name: getattr(scenario, name) for name in _BASICS if hasattr(scenario, name)}
    return set(scenario.models) == {Role.PREFILL, Role.DECODE} and scenario == Scenario(**basics)


def arrivals_by_step(arrival: Floats, grid: Grid) -> Ints:
    """Return the requests that count, by the step in which they arrive."""
    counted = arrival[arrival >= grid.start]
    return np.bincount(steps_of(counted, grid), minlength=grid.steps)


def steps_of(moments: Floats, grid: Grid) -> Ints:
    """Return the step that each of *moments* falls into."""
    steps: Ints = np.minimum((moments / grid.interval).astype(np.int64), grid.steps - 1)
    return steps


class Simulated:
    """Outcomes from the simulator itself: true for every scenario, and slower."""

    def __init__(self, trace: Trace, scenario: Scenario, grid: Grid) -> None:
        self._trace = trace
        self._scenario = scenario
        self._grid = grid

    def __call__(self, schedule: Schedule) -> Outcome:
        """Return the outcome of *schedule*."""
        policy = self._grid.policy(self._grid.wanted(schedule))
        return outcome(simulate(self._trace, self._scenario, policy=policy), self._grid)


def outcome(result: SimResult, grid: Grid) -> Outcome:
    """Return what *result* came to, by step."""
    missed = result.arrival_seconds[~result.within_sla]
    begins = np.array([change.at for change in result.changes])
    held = np.array([result.gpus(change.fleet) for change in result.changes])
    # The integral of the GPUs held, at every edge of the grid.
    moments = np.append(begins, np.inf)
    until = np.concatenate([[0.0], np.cumsum(held[:-1] * np.diff(begins))])
    edges = np.clip(grid.edges, grid.start, grid.end)
    at = np.searchsorted(moments, edges, side="right") - 1
    return Outcome(
        misses=arrivals_by_step(missed, grid).astype(np.float64),
        gpu_seconds=np.diff(until[at] + held[at] * (edges - begins[at])),
        requests=int((result.arrival_seconds >= grid.start).sum()),
    )


class Replay:
    """Outcomes from the step-by-step replay, for a disaggregated fleet without complications."""

    def __init__(self, trace: Trace, scenario: Scenario, grid: Grid) -> None:
        self._grid = grid
        self._gpus = np.array(grid.gpus, dtype=np.float64)
        self._arrived = arrivals_by_step(trace.arrival_seconds, grid)
        self._laws = _laws(scenario, grid)
        decode = scenario.models[Role.DECODE]
        self._blocks = decode.kv_blocks
        size = decode.limits.block_size
        fits = trace.isl + trace.osl <= decode.kv_blocks * size
        rows = trace.rows(fits, trace.arrival_seconds[fits])
        self._requests = _requests(rows, steps_of(rows.arrival_seconds, grid), size)
        self._ring = 1 << int(rows.osl.max(initial=1) + 1).bit_length()

    def __call__(self, schedule: Schedule) -> Outcome:
        """Return the outcome of *schedule*."""
        wanted = self._grid.wanted(schedule)
        world = self._world(int(wanted.max()))
        replay.run(world, wanted)
        kept = np.where(self._grid.edges[1:] > self._grid.start, world.kept, 0)
        return Outcome(
            misses=(self._arrived - kept).astype(np.float64),
            gpu_seconds=world.billed @ self._gpus,
            requests=int(self._arrived.sum()),
        )

    def _world(self, most: int) -> World:
        """Return the world at the beginning; places for *most* replicas and those that drain."""
        initial, grid = self._grid.initial, self._grid
        places = 3 * max(most, *initial) + 8
        prefills, decodes, shared = table(Prefill, places), table(Decode, places), table(Shared, 1)
        _put(prefills, "state", READY, initial[0])
        _put(decodes, "state", READY, initial[1])
        _put(prefills, "number", np.arange(places) - places, places)
        _put(decodes, "number", np.arange(places) - places, places)
        _put(decodes, "free", self._blocks, places)
        _put(shared, "prefills", initial[0], 1)
        _put(shared, "decodes", initial[1], 1)
        return World(
            shared=shared,
            laws=self._laws,
            requests=self._requests,
            prefills=prefills,
            decodes=decodes,
            prefill_until=np.full(places, np.inf),
            decode_until=np.full(places, np.inf),
            ends=np.full((places, self._ring), -1, dtype=np.int32),
            starting=np.zeros((2, places)),
            starts=np.zeros((2, 2), dtype=np.int64),
            billed=np.zeros((grid.steps, 2)),
            kept=np.zeros(grid.steps, dtype=np.int64),
        )


def _put(rows: object, name: str, value: object, count: int) -> None:
    """Set a field of the first *count* rows; *value* may have one entry a row."""
    if isinstance(rows, np.ndarray):
        rows[name][:count] = value
        return
    assert isinstance(rows, list)
    values = value.tolist() if isinstance(value, np.ndarray) else [value] * count
    for row, own in zip(rows[:count], values, strict=True):
        setattr(row, name, own)


def _requests(trace: Trace, steps: Ints, block_size: int) -> list[Request]:
    rows: list[Request] = table(Request, len(trace))
    columns = {
        "arrival": trace.arrival_seconds,
        "isl": trace.isl,
        "osl": trace.osl,
        "blocks": -(-(trace.isl + trace.osl) // block_size),
        "step": steps,
    }
    for name, column in columns.items():
        _put(rows, name, column, len(trace))
    return rows


def _laws(scenario: Scenario, grid: Grid) -> list[Laws]:
    prefill, decode = scenario.models[Role.PREFILL], scenario.models[Role.DECODE]
    sla, limits = scenario.sla, prefill.limits
    values = {
        "prefill_base": prefill.prefill.base_seconds,
        "prefill_token": prefill.prefill.token_seconds,
        "prefill_token_squared": prefill.prefill.token_squared_seconds,
        "decode_base": decode.decode.base_seconds,
        "decode_request": decode.decode.request_seconds,
        "decode_kv_token": decode.decode.kv_token_seconds,
        "transfer_token": prefill.transfer_seconds(1),
        "budget": limits.max_num_batched_tokens,
        "seats": decode.limits.max_num_seqs,
        "cold_start": grid.cold_start,
        "interval": grid.interval,
        "hands_off": grid.hands_off,
        "patience": scenario.patience_seconds,
        "billed_from": grid.start,
        "ttft": np.inf if sla.ttft_seconds is None else sla.ttft_seconds,
        "itl": np.inf if sla.itl_seconds is None else sla.itl_seconds,
    }
    rows: list[Laws] = table(Laws, 1)
    for name, value in values.items():
        _put(rows, name, value, 1)
    return rows
