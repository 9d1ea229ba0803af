"""Dynamo 1.6's planner: a slow throughput loop sets a floor, a fast load loop moves above it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import floor

from planner.core.engine import EngineModel
from planner.core.observation import Observation, Replicas, RoleLoad, Traffic
from planner.core.policy import PolicyConfig
from planner.core.profile import Profile
from planner.core.role import Role
from planner.core.workload import Workload
from planner.peers.deployment import Deployment
from planner.peers.dynamo_capacity import engine_rps
from planner.peers.dynamo_load import WorkerLoad, load_step
from planner.peers.pace import PacedPolicy
from planner.peers.peer import Peer
from planner.peers.rounding import is_over, whole
from planner.peers.traffic import NOTHING, added, lengths

_LOAD_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopsSettings:
    """One deployment, and the options of both loops."""

    deployment: Deployment
    headroom: float = 1.0
    throughput_seconds: float = 180.0
    most_change: int = 8
    """Replicas of a role that one throughput observation may add or take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopsState:
    """What the throughput loop has seen and said."""

    floors: Mapping[Role, int] = field(default_factory=dict)
    """Replicas below which the load loop does not go."""
    lengths: Workload = field(default_factory=lambda: lengths(NOTHING))
    """The last ones seen: idle intervals keep them."""
    is_settled: bool = False
    """Whether there is a floor yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopsInputs:
    """The fleet and its engines now; *traffic* of the throughput interval, None within one."""

    fleet: Mapping[Role, Replicas]
    load: Mapping[Role, RoleLoad]
    lengths: Workload
    """Of recent requests, for what waits or runs."""
    traffic: Traffic | None = None


def decide_loops(
    settings: LoopsSettings, state: LoopsState, inputs: LoopsInputs
) -> tuple[LoopsState, dict[Role, int]]:
    """Return the replicas of one tick of the load loop, the throughput loop's floor below it."""
    if inputs.traffic is not None:
        state = _with_floors(settings, state, inputs.traffic, inputs.fleet)
    deployment = settings.deployment
    wanted = {role: _above_floor(deployment, state, inputs, role) for role in deployment.engines}
    return state, _within_budget(deployment, wanted)


def _with_floors(
    settings: LoopsSettings, state: LoopsState, traffic: Traffic, fleet: Mapping[Role, Replicas]
) -> LoopsState:
    """Return the floors that serve the demand predicted for the next interval.

    Each is demand over the requests a second of one engine, `most_change` replicas at most from
    what is there. An SLA that no engine can keep adds none.
    """
    expected = _expected(state.lengths, traffic)
    deployment, floors = settings.deployment, {}
    for role, engine in deployment.engines.items():
        each = engine_rps(role, engine, deployment.sla, isl=expected.isl, osl=expected.osl)
        needed = whole(settings.headroom * expected.rate_rps / each)
        current = fleet.get(role, Replicas()).current
        least, most = current - settings.most_change, current + settings.most_change
        floors[role] = deployment.bounds[role].clamp(min(max(needed, least), most))
    return LoopsState(floors=floors, lengths=expected, is_settled=True)


def _expected(before: Workload, traffic: Traffic) -> Workload:
    """Return what the constant predictor expects: the last interval's requests, ISL and OSL."""
    mean = lengths(traffic)
    if not traffic.finished:
        mean = replace(mean, osl=before.osl)
    return mean if traffic.arrived else replace(before, rate_rps=0.0)


def _above_floor(deployment: Deployment, state: LoopsState, inputs: LoopsInputs, role: Role) -> int:
    """Return the floor, or what the load loop wants above it.

    While replicas of the role start the load loop only watches. The floor counts at once even then,
    though the original waits for the start.
    """
    replicas, engine = inputs.fleet.get(role, Replicas()), deployment.engines[role]
    least = max(state.floors.get(role, 0), deployment.bounds[role].minimum)
    load = _mean_worker(engine, replicas, inputs.load.get(role), inputs.lengths)
    if not state.is_settled or replicas.starting or load is None:
        return max(replicas.current, least)
    return max(replicas.current + load_step(role, engine, deployment.sla, load), least)


def _mean_worker(
    engine: EngineModel, replicas: Replicas, load: RoleLoad | None, mean: Workload
) -> WorkerLoad | None:
    """Return the load of the mean ready worker; None when the engines do not tell."""
    if load is None or not replicas.ready or load.waiting is None or load.running is None:
        return None
    queued = load.waiting / replicas.ready
    held = (load.kv_usage or 0.0) * engine.limits.kv_capacity_tokens
    return WorkerLoad(
        workers=replicas.ready,
        queued=queued,
        running=load.running / replicas.ready,
        kv_tokens=held + queued * (mean.isl + mean.osl / 2),
        isl=mean.isl,
        osl=mean.osl,
    )


def _within_budget(deployment: Deployment, wanted: dict[Role, int]) -> dict[Role, int]:
    """Return prefill cut in proportion, but leaving decode its minimum, and decode what is left."""
    budget, total = deployment.max_gpus, deployment.gpus_of(wanted)
    if budget is None or total <= budget:
        return wanted
    least, gpus = deployment.minimum, deployment.gpus
    if Role.AGGREGATED in wanted:
        return {Role.AGGREGATED: floor(budget / gpus[Role.AGGREGATED])}
    room = floor((budget - least[Role.DECODE] * gpus[Role.DECODE]) / gpus[Role.PREFILL])
    share = floor(wanted[Role.PREFILL] * budget / total)
    prefill = max(least[Role.PREFILL], min(room, share))
    left = floor((budget - prefill * gpus[Role.PREFILL]) / gpus[Role.DECODE])
    return {Role.PREFILL: prefill, Role.DECODE: max(least[Role.DECODE], left)}


class LoopsPolicy(PacedPolicy):
    """The load loop every 5 s and the throughput loop every 180 s.

    Engines tell their sums, so the mean worker stands for all of them and for any: one hot worker
    does not block a step here, as it would there.
    """

    def __init__(self, config: PolicyConfig, profile: Profile, *, headroom: float = 1.0) -> None:
        super().__init__(config, every_seconds=_LOAD_SECONDS)
        self._settings = LoopsSettings(deployment=Deployment.of(config, profile), headroom=headroom)
        self._state = LoopsState()
        self._interval = NOTHING
        self._mean = lengths(NOTHING)

    def _decide(self, observation: Observation, traffic: Traffic) -> Mapping[Role, int]:
        self._interval = added(self._interval, traffic)
        if self._interval.finished:
            self._mean = lengths(self._interval)
        has_ended = is_over(self._interval.seconds, self._settings.throughput_seconds)
        self._state, wanted = decide_loops(
            self._settings,
            self._state,
            LoopsInputs(
                fleet=observation.fleet,
                load=observation.load,
                lengths=self._mean,
                traffic=self._interval if has_ended else None,
            ),
        )
        if has_ended:
            self._interval = NOTHING
        return wanted


DYNAMO_LOOPS = Peer(
    name="dynamo-loops",
    title="Dynamo planner 1.6, throughput and load loops",
    source="NVIDIA Dynamo 1.6.1 documentation, Planner, and its throughput and load scaling",
    defaults="throughput loop every 180 s (constant predictor, at most 8 replicas at once) as "
    "lower bound, load loop every 5 s, one replica at a time, scale-down sensitivity 80 %",
    make=LoopsPolicy,
)
