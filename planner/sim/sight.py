"""What a policy gets to see of a simulated deployment: live metrics, late or lost."""

from collections import deque
from math import ceil

import numpy as np
import numpy.typing as npt

from planner.core.observation import Arrivals, Observation, RoleLoad, StepSums, Traffic
from planner.core.role import Role
from planner.sim.deployment import Deployment
from planner.sim.fleet import Fleet
from planner.sim.machine.records import Pool
from planner.sim.scenario import Scenario
from planner.traces import Trace

BIN_SECONDS = 0.25
"""Length of the bins in which arrivals are counted."""
_WHOLE = ("finished", "failed", "within_sla", "ttft_count", "itl_count")
_REAL = ("osl_sum", "context_osl_sum", "ttft_sum", "itl_sum")
_STEPS = tuple(name for name in StepSums.__dataclass_fields__ if name != "seconds")


class Sight:
    """Observes a deployment as a live source would, with what *scenario* does to metrics."""

    def __init__(
        self, trace: Trace, scenario: Scenario, deployment: Deployment, rng: np.random.Generator
    ) -> None:
        self._trace = trace
        self._roles = tuple(scenario.models)
        self._delay_seconds = scenario.metric_delay_seconds
        self._loss = scenario.metric_loss
        self._deployment = deployment
        self._rng = rng
        self._on_its_way: deque[Observation] = deque()
        self._since = 0.0
        self._seen = 0

    def observe(self, fleet: Fleet) -> Observation:
        """Return what is seen of the deployment now; *fleet* is always known as it is."""
        now = self._deployment.now
        if not self._loss or self._rng.random() >= self._loss:
            self._on_its_way.append(self._take(fleet))
        if not self._on_its_way or self._on_its_way[0].at > now - self._delay_seconds:
            return Observation(at=now, fleet=fleet.counts())
        seen = self._on_its_way.popleft()
        if seen.at == now:
            return seen
        return Observation(
            at=now,
            fleet=fleet.counts(),
            traffic=seen.traffic,
            load=seen.load,
            in_flight=seen.in_flight,
            age_seconds=now - seen.at,
        )

    def _take(self, fleet: Fleet) -> Observation:
        """Read all counters now."""
        deployment = self._deployment
        deployment.sum_up()
        now, seconds = deployment.now, deployment.now - self._since
        # As with live counters, a first look has nothing to compare with.
        traffic = self._traffic(now, seconds)
        load = {role: self._load(role, steps=seconds > 0) for role in self._roles}
        return Observation(
            at=now,
            fleet=fleet.counts(),
            traffic=traffic if seconds else None,
            load=load,
            in_flight=int(deployment.clock.in_flight),
        )

    def _traffic(self, now: float, seconds: float) -> Traffic:
        """Return what was counted since the last time, and count from 0 again."""
        clock = self._deployment.clock
        new = slice(self._seen, int(clock.arrived))
        isl = self._trace.isl[new]
        arrivals = _binned(self._trace.arrival_seconds[new], isl, now=now, seconds=seconds)
        whole = {name: int(getattr(clock, name)) for name in _WHOLE}
        real = {name: float(getattr(clock, name)) for name in _REAL}
        for name in (*_WHOLE, *_REAL):
            setattr(clock, name, 0)
        self._since, self._seen = now, new.stop
        return Traffic(
            seconds=seconds,
            arrived=len(isl),
            isl_sum=float(sum(arrivals.isl)),
            isl_squared_sum=float(sum(arrivals.isl_squared)),
            arrivals=arrivals,
            finished=whole["finished"],
            failed=whole["failed"],
            within_sla=whole["within_sla"],
            ttft_count=whole["ttft_count"],
            itl_count=whole["itl_count"],
            osl_sum=real["osl_sum"],
            context_osl_sum=real["context_osl_sum"],
            ttft_sum=real["ttft_sum"],
            itl_sum=real["itl_sum"],
        )

    def _load(self, role: Role, *, steps: bool) -> RoleLoad:
        pool, engines = self._deployment.look(role), self._deployment.serving(role)
        computed = _computed(pool)
        is_queue = role is Role.PREFILL
        if not engines:
            return RoleLoad(waiting=int(pool.waiting) if is_queue else None)
        return RoleLoad(
            waiting=int(pool.waiting),
            # How long the prompts in the shared queue are is known to nobody.
            waiting_tokens=None if is_queue else int(pool.waiting_tokens),
            running=int(pool.running),
            kv_usage=float(pool.kv_usage) / engines,
            steps=computed if steps else None,
        )


def _computed(pool: Pool) -> StepSums:
    """Return what a pool has computed since the last time, and count from 0 again."""
    whole = {name: int(getattr(pool, name)) for name in _STEPS}
    computed = StepSums(seconds=float(pool.seconds), **whole)
    for name in ("seconds", *_STEPS):
        setattr(pool, name, 0)
    return computed


def _binned(
    at: npt.NDArray[np.float64], isl: npt.NDArray[np.int64], *, now: float, seconds: float
) -> Arrivals:
    """Return the requests that arrived *at* these times by bins of which the last ends *now*."""
    bins = max(1, ceil(round(seconds / BIN_SECONDS, 6)))
    place = np.clip(bins - 1 - ((now - at) // BIN_SECONDS).astype(np.int64), 0, bins - 1)
    tokens = np.zeros((2, bins), np.int64)
    np.add.at(tokens[0], place, isl)
    np.add.at(tokens[1], place, isl * isl)
    return Arrivals(
        bin_seconds=BIN_SECONDS,
        counts=tuple(np.bincount(place, minlength=bins).tolist()),
        isl=tuple(tokens[0].tolist()),
        isl_squared=tuple(tokens[1].tolist()),
    )
