"""A deployment on the virtual clock: who takes a request, and what its metrics would say."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from planner.core.engine import EngineModel
from planner.core.observation import Observation, RoleLoad
from planner.core.role import Role
from planner.sim.engine import KvMemory, SimulatedEngine
from planner.sim.fleet import Fleet
from planner.sim.ledger import Ledger
from planner.sim.prefill import PrefillEngine
from planner.sim.serving import ServingEngine
from planner.sim.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class RemotePrefill:
    """When a decode replica has a prompt prefilled elsewhere; the rest it prefills itself.

    The names are those of the settings that decode workers follow.
    """

    max_local_prefill_length: int = 0
    """Prompt tokens up to which it prefills itself."""
    max_prefill_queue_size: int | None = None
    """Prompts waiting and in work at which no more are sent away; None is any number."""


class Deployment:
    """Routes requests as the product does, over the replicas of its `fleet`.

    A request goes to the serving replica with the fewest requests (decode, or aggregated) and
    waits where there is none. A decode replica that does not prefill it itself sends the prompt to
    the shared prefill queue once it has memory for it; the KV cache comes back over the network.
    """

    def __init__(
        self,
        models: Mapping[Role, EngineModel],
        timeline: Timeline,
        ledger: Ledger,
        *,
        cold_start_seconds: float,
        remote_prefill: RemotePrefill,
    ) -> None:
        self._models = models
        self._remote_prefill = remote_prefill
        self._timeline = timeline
        self._ledger = ledger
        self._front = Role.AGGREGATED if Role.AGGREGATED in models else Role.DECODE
        self._capacity = KvMemory(models[self._front])
        self._prefill_queue: deque[int] = deque()
        self._homeless: deque[int] = deque()
        self._homes: dict[int, ServingEngine] = {}
        self.fleet = Fleet(
            tuple(models),
            timeline,
            cold_start_seconds=cold_start_seconds,
            build=self._build,
            on_ready=self._welcome,
        )

    def arrive(self, request: int) -> None:
        """Accept *request*; one that fits into no engine fails."""
        self._ledger.arrived(request)
        if not self._capacity.fits_ever(self._ledger.isl[request] + self._ledger.osl[request]):
            self._ledger.rejected(request)
        elif serving := self.fleet.serving(self._front):
            self._enter(min(serving, key=_in_flight), request)
        else:
            self._homeless.append(request)

    def observe(self) -> Observation:
        """Return what a live source would tell at this moment of a deployment like this."""
        now = self._timeline.now
        traffic = self._ledger.traffic(now)
        return Observation(
            at=now,
            fleet=self.fleet.counts(),
            # As with live counters, a first look has nothing to compare with.
            traffic=traffic if traffic.seconds else None,
            load={role: self._load(role) for role in self._models},
            in_flight=self._ledger.in_flight,
        )

    def _load(self, role: Role) -> RoleLoad:
        engines = self.fleet.serving(role)
        queued = len(self._prefill_queue) if role is Role.PREFILL else None
        if not engines:
            return RoleLoad(waiting=queued)
        return RoleLoad(
            waiting=sum(e.waiting for e in engines) if queued is None else queued,
            # How long the prompts in the shared queue are is known to nobody.
            waiting_tokens=sum(e.waiting_tokens for e in engines) if queued is None else None,
            running=sum(e.running for e in engines),
            kv_usage=sum(e.kv_usage for e in engines) / len(engines),
        )

    def _build(self, role: Role) -> SimulatedEngine:
        model, timeline, ledger = self._models[role], self._timeline, self._ledger
        if role is Role.PREFILL:
            return PrefillEngine(
                model, timeline, ledger, queue=self._prefill_queue, deliver=self._deliver
            )
        return ServingEngine(model, timeline, ledger, send_to_prefill=self._queue_prefill)

    def _welcome(self, _: Role, engine: SimulatedEngine) -> None:
        """Give a replica that begins to serve what waited for one."""
        if isinstance(engine, PrefillEngine):
            engine.pull()
            return
        waiting, self._homeless = self._homeless, deque()
        for request in waiting:
            self._enter(engine, request)

    def _enter(self, engine: SimulatedEngine, request: int) -> None:
        assert isinstance(engine, ServingEngine)
        is_remote = self._is_remote(request)
        if is_remote:
            self._homes[request] = engine
        engine.enter(request, is_remote=is_remote)

    def _is_remote(self, request: int) -> bool:
        limits = self._remote_prefill
        if self._front is Role.AGGREGATED or not self.fleet.serving(Role.PREFILL):
            return False
        if self._ledger.isl[request] <= limits.max_local_prefill_length:
            return False
        most = limits.max_prefill_queue_size
        return most is None or self._prefills() < most

    def _prefills(self) -> int:
        """Return the prompts that wait for a prefill replica or are in work there."""
        return len(self._prefill_queue) + sum(
            engine.in_flight for engine in self.fleet.serving(Role.PREFILL)
        )

    def _queue_prefill(self, request: int) -> None:
        self._prefill_queue.append(request)
        for engine in self.fleet.serving(Role.PREFILL):
            if not engine.in_flight:
                assert isinstance(engine, PrefillEngine)
                engine.pull()
                return

    def _deliver(self, request: int) -> None:
        """Send the KV cache of a prefilled prompt to the decode replica that waits for it."""
        seconds = self._models[Role.PREFILL].transfer_seconds(self._ledger.isl[request])
        home = self._homes.pop(request)
        self._timeline.at(self._timeline.now + seconds, partial(home.join), request)


def _in_flight(engine: SimulatedEngine) -> int:
    return engine.in_flight
