"""A deployment on the virtual clock: who takes a request, and what its metrics would say."""

from collections import deque
from collections.abc import Mapping
from functools import partial

from planner.core.engine import EngineModel
from planner.core.observation import Observation, RoleLoad
from planner.core.role import Role
from planner.sim.aggregated import AggregatedEngine
from planner.sim.decode import DecodeEngine
from planner.sim.engine import KvMemory, SimulatedEngine
from planner.sim.fleet import Fleet
from planner.sim.ledger import Ledger
from planner.sim.prefill import PrefillEngine
from planner.sim.timeline import Timeline


class Deployment:
    """Routes requests as the product does, over the replicas of its `fleet`.

    A request goes to the serving replica with the fewest requests (decode, or aggregated) and
    waits where there is none. A decode replica sends the prompt to the shared prefill queue once
    it has memory for it; the KV cache comes back over the network.
    """

    def __init__(
        self,
        models: Mapping[Role, EngineModel],
        timeline: Timeline,
        ledger: Ledger,
        *,
        cold_start_seconds: float,
    ) -> None:
        self._models = models
        self._timeline = timeline
        self._ledger = ledger
        self._front = Role.AGGREGATED if Role.AGGREGATED in models else Role.DECODE
        self._capacity = KvMemory(models[self._front])
        self._prefill_queue: deque[int] = deque()
        self._homeless: deque[int] = deque()
        self._homes: dict[int, DecodeEngine] = {}
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
        match role:
            case Role.AGGREGATED:
                return AggregatedEngine(model, timeline, ledger)
            case Role.DECODE:
                return DecodeEngine(model, timeline, ledger, send_to_prefill=self._queue_prefill)
            case Role.PREFILL:
                return PrefillEngine(
                    model, timeline, ledger, queue=self._prefill_queue, deliver=self._deliver
                )

    def _welcome(self, _: Role, engine: SimulatedEngine) -> None:
        """Give a replica that begins to serve what waited for one."""
        if isinstance(engine, PrefillEngine):
            engine.pull()
            return
        waiting, self._homeless = self._homeless, deque()
        for request in waiting:
            self._enter(engine, request)

    def _enter(self, engine: SimulatedEngine, request: int) -> None:
        assert isinstance(engine, AggregatedEngine | DecodeEngine)
        if isinstance(engine, DecodeEngine):
            self._homes[request] = engine
        engine.enter(request)

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
