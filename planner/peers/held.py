"""What one replica holds within the SLA: the target of rules that count requests in flight.

Such rules are given a target per replica by an operator who has load-tested one with traffic of
this kind. A model of that test stands in for it, with the mean lengths seen so far.
"""

from dataclasses import dataclass
from math import floor

import numpy as np

from planner.core.engine import EngineModel
from planner.core.observation import RoleLoad, Traffic
from planner.core.policy import PolicyConfig
from planner.core.profile import Profile
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.workload import Workload
from planner.peers.traffic import NOTHING, added, lengths

_BISECTIONS = 20
# More change nothing: a replica that may have these is as good as full before it is late.
_MOST = 4096
# Times the requests known at the last test at which it is done again.
_AGAIN = 1.01


def in_flight(load: RoleLoad | None) -> int | None:
    """Return the requests that wait for a role or are in work there; None when it does not tell."""
    if load is None or (load.waiting is None and load.running is None):
        return None
    return (load.waiting or 0) + (load.running or 0)


class LoadTests:
    """`held_in_flight` of every role, for the mean lengths of all traffic so far.

    The test is done again when there is a hundredth more to go by.
    """

    def __init__(self, config: PolicyConfig, profile: Profile, *, headroom: float) -> None:
        self._engines = config.engines(profile)
        self._sla = config.sla
        self._headroom = headroom
        self._seen = NOTHING
        self._tested: dict[Role, tuple[int, float]] = {}

    def watch(self, traffic: Traffic) -> None:
        """Take the lengths in *traffic* into account."""
        self._seen = added(self._seen, traffic)

    def held(self, role: Role) -> float:
        """Return what a replica of *role* holds on average."""
        known = self._seen.arrived + self._seen.finished
        tested = self._tested.get(role)
        if tested is None or known > _AGAIN * tested[0]:
            engine, mean = self._engines[role], lengths(self._seen)
            found = held_in_flight(role, engine, self._sla, mean, headroom=self._headroom)
            tested = self._tested[role] = known, found
        return tested[1]


def held_in_flight(
    role: Role, engine: EngineModel, sla: Sla, workload: Workload, *, headroom: float = 1.0
) -> float:
    """Return the mean requests in flight of a replica at 1 / *headroom* of the rate it can take.

    That rate is the largest at which a replica by itself keeps *sla* under random arrivals.
    Headroom is taken off the rate, not the number: a decode replica at 70 % of its rate has a fifth
    of the requests that it has at all of it, since its steps are shorter.
    """
    server = _Server.of(role, engine, sla, workload)
    return server.mean(server.largest_load(sla.attainment) / headroom)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Server:
    """A replica that serves all its n requests side by side, in steps of base + n * work.

    Requests leave at a rate of n / (base + n * work) over a constant, so with random arrivals n is
    negative binomial: of base / work + 1 successes, the load being the share of a second that goes
    to work. A base of 0 is M/M/1.
    """

    base_over_work: float
    most: int
    """Requests with which none is late yet."""

    @classmethod
    def of(cls, role: Role, engine: EngineModel, sla: Sla, workload: Workload) -> "_Server":
        if role is Role.PREFILL:
            return _prefill_server(engine, sla.ttft_seconds, workload)
        base = engine.decode.base_seconds
        work = engine.decode.marginal_seconds(workload.context_tokens)
        if role is Role.AGGREGATED:
            # In steady state every output has one prompt computed beside it.
            work += _prompt_work_seconds(engine, workload) / workload.osl
        most = max(1, engine.batch_limit(workload.isl + workload.osl))
        if sla.itl_seconds is not None and sla.itl_seconds > base + work:
            most = min(most, floor((sla.itl_seconds - base) / work))
        return cls(base_over_work=base / work, most=min(most, _MOST))

    def mean(self, load: float) -> float:
        """Return the mean number at *load*, at most `most`."""
        if load >= 1:
            return float(self.most)
        return min(float(self.most), (self.base_over_work + 1) * load / (1 - load))

    def largest_load(self, share: float) -> float:
        """Return the load at which at most `most` are there for *share* of the time."""
        # Where `most` are exceeded seldom, four times as many hardly ever are.
        number = np.arange(1, 4 * self.most + 64, dtype=np.float64)
        growth = np.cumsum(np.log((self.base_over_work + number) / number))
        low, high = 0.0, 1.0
        for _ in range(_BISECTIONS):
            load = (low + high) / 2
            weight = growth + number * np.log(load)
            odds = np.exp(weight - weight.max())
            none = np.exp(-weight.max())
            inside = (none + odds[: self.most].sum()) / (none + odds.sum())
            low, high = (load, high) if inside >= share else (low, load)
        return low


def _prefill_server(engine: EngineModel, ttft_seconds: float | None, workload: Workload) -> _Server:
    """Return the server of prompts, as many as may be there with the last one just in time.

    A target that no prompt can keep is not judged: then it is a full batch.
    """
    base, work = engine.prefill.base_seconds, _prompt_work_seconds(engine, workload)
    most = max(1, floor(engine.limits.max_num_batched_tokens / workload.isl))
    own = engine.prompt_seconds(workload.isl) + engine.transfer_seconds(workload.isl)
    own += 1.5 * engine.decode.base_seconds
    if ttft_seconds is not None and own <= ttft_seconds:
        # Of the steps that compute those in front, each with its base.
        each = work + base / most
        most = 1 + floor((ttft_seconds - own) / each)
    return _Server(base_over_work=base / work, most=min(most, _MOST))


def _prompt_work_seconds(engine: EngineModel, workload: Workload) -> float:
    law = engine.prefill
    return law.token_seconds * workload.isl + law.token_squared_seconds * workload.isl_mean_square
