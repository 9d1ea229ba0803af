"""A deployment on the virtual clock: engines that come and go, and the requests inside."""

import numpy as np
import numpy.typing as npt

from planner.core.role import Role
from planner.sim.machine.build import (
    build,
    engine_of,
    place_engine,
    sizes_of,
    with_more_engines,
    with_more_transfers,
)
from planner.sim.machine.records import (
    PREFILL_POOL,
    SERVING_POOL,
    Clock,
    Pool,
    Request,
    World,
)
from planner.sim.machine.tables import fields_of, moments, table
from planner.sim.machine.turn import ADVANCE, LOOK, LOSE, REACHED, RETIRED, WELCOME, turn
from planner.sim.scenario import RemotePrefill as RemotePrefill
from planner.sim.scenario import Router, Scenario
from planner.traces import Trace

_ROUTERS = {Router.LEAST_LOADED: 0, Router.ROUND_ROBIN: 1, Router.RANDOM: 2, Router.KV: 3}


class Deployment:
    """Routes requests as the product does, over the engines that were opened.

    A request goes to a serving engine (decode, or aggregated) and waits where there is none. A
    decode engine that does not prefill it itself sends the prompt to the shared prefill queue once
    it has memory for it; the KV cache comes back over the network.
    """

    def __init__(self, trace: Trace, scenario: Scenario, rng: np.random.Generator) -> None:
        self._models = scenario.models
        self._noise, self._rng = scenario.noise, rng
        is_aggregated = Role.AGGREGATED in scenario.models
        self.front = Role.AGGREGATED if is_aggregated else Role.DECODE
        self._world = _world(trace, scenario, self.front)
        self._free = list(range(len(self._world.engines)))[::-1]
        self._serving: dict[int, list[int]] = {PREFILL_POOL: [], SERVING_POOL: []}
        self._view()

    def _view(self) -> None:
        """Let plain Python read the records that functions work on."""
        self.clock: Clock = fields_of(self._world.clock)[0]
        self._engines = fields_of(self._world.engines)

    @property
    def now(self) -> float:
        """The time up to which everything has happened."""
        return float(self.clock.now)

    def number(self) -> int:
        """Return the number of something that is scheduled now."""
        self.clock.number += 1
        return int(self.clock.number)

    def await_requests(self) -> None:
        """Let requests arrive from now on."""
        self.clock.arrival_number = self.number()

    def run(self, until: float, number: int) -> int | None:
        """Go on to *until*, and to what was scheduled for then before *number*.

        Returns None once there, or an engine that has finished draining on the way.
        """
        while (ended := self._turn(ADVANCE, 0, until, number)) != REACHED:
            if ended == RETIRED:
                return int(self.clock.retired)
            self._world = with_more_transfers(self._world)
        return None

    def add(self, role: Role) -> int:
        """Return a new engine for a replica of *role*; nothing reaches it until it is opened."""
        if not self._free:
            self._make_room()
        row = self._free.pop()
        factors = self._rng.uniform(1 - self._noise, 1 + self._noise, size=6).tolist()
        place_engine(self._world, row, engine_of(_pool(role), self._models[role], factors))
        return row

    def open(self, row: int) -> None:
        """Let an engine serve, and give it what waited for one."""
        pool = int(self._engines[row].pool)
        self._serving[pool].append(row)
        self._list_serving(pool)
        self._turn(WELCOME, row)

    def close(self, row: int) -> None:
        """Let an engine take nothing new."""
        engine = self._engines[row]
        pool = int(engine.pool)
        engine.is_closing = True
        self._serving[pool].remove(row)
        self._list_serving(pool)
        if pool == PREFILL_POOL and not engine.steps:
            fields_of(self._world.pools)[pool].idle -= 1

    def kill(self, row: int) -> None:
        """Let an engine die; its requests go on elsewhere with the tokens that they have."""
        if not self._engines[row].is_closing:
            self.close(row)
        self._turn(LOSE, row)

    def remove(self, row: int) -> None:
        """Forget an engine that has nothing in it."""
        self._free.append(row)

    def in_flight(self, row: int) -> int:
        """Return the requests that an engine has taken and not finished."""
        return int(self._engines[row].in_flight)

    def serving(self, role: Role) -> int:
        """Return how many engines of *role* take new requests."""
        return len(self._serving[_pool(role)])

    def look(self, role: Role) -> Pool:
        """Return what the engines of *role* have computed and hold, as of the last `sum_up`."""
        return fields_of(self._world.pools)[_pool(role)]

    def sum_up(self) -> None:
        """Bring what `look` returns up to now."""
        self._turn(LOOK)

    def end(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return when each request had its first and its last token, nan where it never had.

        Nothing can happen afterwards: millions of requests are let go of.
        """
        requests = self._world.requests
        self._world = self._world._replace(requests=table(Request, 0))
        return moments(requests, "first"), moments(requests, "finish")

    def _turn(self, order: int, row: int = 0, until: float = 0.0, number: int = 0) -> int:
        return turn(self._world, order, row, until, number)

    def _make_room(self) -> None:
        rows = len(self._world.engines)
        self._world = with_more_engines(self._world)
        self._free = list(range(rows, 2 * rows))[::-1]
        self._view()
        for pool in self._serving:
            self._list_serving(pool)

    def _list_serving(self, pool: int) -> None:
        rows = self._serving[pool]
        first = pool * len(self._world.engines)
        for place, row in enumerate(rows):
            self._world.serving[first + place] = row
        fields_of(self._world.pools)[pool].serving = len(rows)


def _pool(role: Role) -> int:
    return PREFILL_POOL if role is Role.PREFILL else SERVING_POOL


def _world(trace: Trace, scenario: Scenario, front: Role) -> World:
    model = scenario.models[front]
    elsewhere, sla = scenario.remote_prefill, scenario.sla
    most = elsewhere.max_prefill_queue_size
    clock = Clock(
        router=_ROUTERS[scenario.router],
        draw=scenario.seed % 2147483646 + 1,
        max_local_tokens=elsewhere.max_local_prefill_length,
        max_queue=-1 if most is None else most,
        is_aggregated=front is Role.AGGREGATED,
        kv_tokens_most=model.kv_blocks * model.limits.block_size,
        grows=scenario.kv_growth,
        most_transfers=_most_transfers(trace, scenario),
        ttft=np.inf if sla.ttft_seconds is None else sla.ttft_seconds,
        itl=np.inf if sla.itl_seconds is None else sla.itl_seconds,
    )
    caches = scenario.prefix_cache and trace.hash_ids is not None
    return build(trace, clock, sizes_of(model, grows=scenario.kv_growth, caches=caches))


def _most_transfers(trace: Trace, scenario: Scenario) -> int:
    """Return how many prompts one prefill step can finish: each has a token at least."""
    if Role.PREFILL not in scenario.models or not len(trace):
        return 1
    if trace.isl.min() < 1:
        return len(trace) + 1
    return min(scenario.models[Role.PREFILL].limits.max_num_batched_tokens, len(trace)) + 1
