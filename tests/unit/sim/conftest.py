"""Traces, a policy that watches, and a reference for the simulator.

The reference takes every step of every engine, with lists for everything: slow and obvious. It
shares nothing with the real one beside the engine model, which tells the time of a step.
"""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf

import numpy as np
import pytest

from planner.core.engine import EngineModel
from planner.core.observation import Observation
from planner.core.role import Role
from planner.sim.result import SimResult
from planner.sim.run import Scenario, simulate
from planner.traces import Trace

Schedule = list[tuple[float, Mapping[Role, int]]]
PREFILL = Role.PREFILL


@pytest.fixture
def requests_at() -> Callable[..., Trace]:
    """Equal requests at given times."""

    def trace(*arrivals: float, isl: int = 1024, osl: int = 2, hash_ids=None) -> Trace:
        n = len(arrivals)
        return Trace(
            name="t",
            arrival_seconds=np.array(arrivals, dtype=float),
            isl=np.full(n, isl),
            osl=np.full(n, osl),
            hash_ids=hash_ids,
        )

    return trace


@pytest.fixture
def random_trace() -> Callable[..., Trace]:
    """Poisson arrivals of lengths spread evenly, the same ones again."""

    def trace(n: int = 400, *, rate: float = 20.0, osl: int = 100) -> Trace:
        rng = np.random.default_rng(3)
        return Trace(
            name="random",
            arrival_seconds=np.cumsum(rng.exponential(1 / rate, n)),
            isl=rng.integers(100, 4000, n),
            osl=rng.integers(1, 2 * osl, n),
        )

    return trace


@pytest.fixture
def watched() -> Callable[..., tuple[SimResult, list[Observation]]]:
    """Return a run with a policy that asks for the same all the time, and what it saw."""

    def run(trace: Trace, scenario: Scenario, wanted: Mapping[Role, int] | None = None):
        seen = []

        def policy(observation: Observation) -> Mapping[Role, int]:
            seen.append(observation)
            return wanted or scenario.initial

        return simulate(trace, scenario, policy=policy), seen

    return run


@dataclass(eq=False)
class Req:
    number: int
    arrival: float
    isl: int
    osl: int
    prompt: int
    prefilled: int = 0
    produced: int = 0
    blocks: int = 0
    remote: bool = False
    first: float = inf
    finish: float = inf

    @property
    def context(self) -> int:
        return self.isl + self.produced


@dataclass(eq=False)
class RefEngine:
    model: EngineModel
    role: Role
    number: int
    ready_at: float
    is_ready: bool = False
    is_draining: bool = False
    line: list[Req] = field(default_factory=list)  # waiting for memory
    joining: list[Req] = field(default_factory=list)  # KV cache has arrived
    prompts: list[Req] = field(default_factory=list)
    decoding: list[Req] = field(default_factory=list)
    away: list[Req] = field(default_factory=list)  # has memory, is prefilled elsewhere
    chunks: list[tuple[Req, int]] = field(default_factory=list)
    step_end: float = inf

    @property
    def everyone(self) -> list[Req]:
        return [*self.line, *self.joining, *self.prompts, *self.decoding, *self.away]

    @property
    def seated(self) -> int:
        return len(self.prompts) + len(self.decoding)

    @property
    def free(self) -> int:
        holders = [*self.joining, *self.prompts, *self.decoding, *self.away]
        return self.model.kv_blocks - sum(r.blocks for r in holders)

    def blocks(self, tokens: int) -> int:
        return -(-tokens // self.model.limits.block_size)

    @property
    def serves(self) -> bool:
        return self.is_ready and not self.is_draining


class Reference:
    """One step of one engine at a time."""

    def __init__(self, trace: Trace, scenario: Scenario, schedule: Schedule) -> None:
        self.scenario, self.schedule = scenario, schedule
        columns = zip(trace.arrival_seconds, trace.isl, trace.osl, strict=True)
        self.requests = [
            Req(i, float(t), int(n), int(m), int(n)) for i, (t, n, m) in enumerate(columns)
        ]
        self.arrivals = list(self.requests)
        self.look = scenario.interval_seconds if schedule else inf
        self.queue: list[Req] = []
        self.homeless: list[Req] = []
        self.transfers: list[tuple[float, int, Req, RefEngine]] = []
        self.engines: list[RefEngine] = []
        self.started = 0
        self.now = 0.0
        for role, count in scenario.initial.items():
            for _ in range(count):
                self.start(role, cold=0.0).is_ready = True

    def run(self) -> list[Req]:
        while any(r.finish == inf for r in self.requests):
            times = [e.step_end for e in self.engines] + [r.arrival for r in self.arrivals[:1]]
            times += [e.ready_at for e in self.engines if not e.is_ready]
            self.now = min([*times, self.look, *(t[0] for t in self.transfers)])
            self.turn()
            for engine in self.engines:
                if engine.step_end == inf:
                    self.begin(engine)
            self.engines = [e for e in self.engines if not e.is_draining or e.everyone]
        return self.requests

    def turn(self) -> None:
        """Let the one thing happen that is due."""
        starting = [e for e in self.engines if not e.is_ready and e.ready_at == self.now]
        if starting:
            starting[0].is_ready = True
            waiting, self.homeless = self.homeless, []
            for request in waiting:
                self.route(request)
        elif self.look == self.now:
            self.scale([wanted for at, wanted in self.schedule if at <= self.now][-1:])
            self.look += self.scenario.interval_seconds
        elif self.arrivals and self.arrivals[0].arrival == self.now:
            self.route(self.arrivals.pop(0))
        elif self.transfers and self.transfers[0][0] == self.now:
            _, _, request, engine = heapq.heappop(self.transfers)
            engine.away.remove(request)
            engine.joining.append(request)
        else:
            engine = next(e for e in self.engines if e.step_end == self.now)
            self.end(engine)
            self.let_in(engine)
            self.begin(engine)

    # replicas

    def start(self, role: Role, *, cold: float) -> RefEngine:
        self.started += 1
        engine = RefEngine(self.scenario.models[role], role, self.started, self.now + cold)
        self.engines.append(engine)
        return engine

    def scale(self, wanted: list[Mapping[Role, int]]) -> None:
        for role, count in (wanted[0] if wanted else {}).items():
            mine = [e for e in self.engines if e.role is role and not e.is_draining]
            for _ in range(count - len(mine)):
                self.start(role, cold=self.scenario.cold_start_seconds)
            for _ in range(len(mine) - count):
                starting = [e for e in mine if not e.is_ready]
                idlest = min(mine, key=lambda e: (len(e.everyone), -e.number))
                gone = starting[-1] if starting else idlest
                mine.remove(gone)
                gone.is_draining = True

    # requests

    def serving(self, *, prefill: bool) -> list[RefEngine]:
        return [e for e in self.engines if e.serves and (e.role is PREFILL) is prefill]

    def route(self, request: Req) -> None:
        front = self.serving(prefill=False)
        if not front:
            self.homeless.append(request)
            return
        engine = min(front, key=lambda e: len(e.everyone))
        request.remote = engine.role is Role.DECODE and self.goes_away(request)
        engine.line.append(request)
        self.let_in(engine)

    def goes_away(self, request: Req) -> bool:
        limits, prefill = self.scenario.remote_prefill, self.serving(prefill=True)
        most = limits.max_prefill_queue_size
        depth = len(self.queue) + sum(len(e.prompts) for e in prefill)
        long = request.isl > limits.max_local_prefill_length
        return bool(prefill) and long and (most is None or depth < most)

    def admission(self, engine: RefEngine, request: Req) -> int:
        grows = self.scenario.kv_growth
        return engine.blocks(request.prompt + 1 if grows else request.isl + request.osl)

    def let_in(self, engine: RefEngine) -> None:
        while engine.line and engine.line[0].remote:
            request = engine.line[0]
            if self.admission(engine, request) > engine.free:
                return
            request.blocks = self.admission(engine, request)
            engine.away.append(engine.line.pop(0))
            self.queue.append(request)
            idle = [e for e in self.serving(prefill=True) if e.step_end == inf]
            if idle:
                self.begin(idle[0])

    def begin(self, engine: RefEngine) -> None:
        limits = engine.model.limits
        self.make_room(engine)
        while engine.joining and engine.seated < limits.max_num_seqs:
            engine.decoding.append(engine.joining.pop(0))
        self.choose_chunks(engine, limits.max_num_batched_tokens - len(engine.decoding))
        engine.step_end = inf
        if engine.decoding or engine.chunks:
            engine.step_end = self.now + engine.model.step_seconds(
                decoding=len(engine.decoding),
                kv_tokens=sum(r.context for r in engine.decoding),
                chunks=[(r.prefilled, r.prefilled + n) for r, n in engine.chunks],
            )

    def make_room(self, engine: RefEngine) -> None:
        """Preempt until every decoding request has room for one more token."""
        growing = [r for r in engine.decoding if engine.blocks(r.context + 1) > r.blocks]
        if len(growing) <= engine.free:
            for request in growing:
                request.blocks += 1
            return
        victim = engine.prompts.pop() if engine.prompts else engine.decoding.pop()
        victim.prompt, victim.prefilled, victim.blocks = victim.context, 0, 0
        victim.remote = False
        engine.line.insert(0, victim)
        self.make_room(engine)

    def choose_chunks(self, engine: RefEngine, budget: int) -> None:
        engine.chunks = []
        source = self.queue if engine.role is PREFILL else engine.line
        candidates = list(engine.prompts)
        while budget > 0 and (candidates or self.may_admit(engine, source)):
            if not candidates:
                if engine.role is not PREFILL:
                    source[0].blocks = self.admission(engine, source[0])
                engine.prompts.append(source[0])
                candidates.append(source.pop(0))
                self.let_in(engine)
            request = candidates.pop(0)
            share = min(budget, request.prompt - request.prefilled)
            engine.chunks.append((request, share))
            budget -= share

    def may_admit(self, engine: RefEngine, source: list[Req]) -> bool:
        if not source or engine.role is PREFILL:
            return bool(source) and engine.serves
        seats = engine.model.limits.max_num_seqs
        fits = self.admission(engine, source[0]) <= engine.free
        return not source[0].remote and engine.seated < seats and fits

    def end(self, engine: RefEngine) -> None:
        for request in list(engine.decoding):
            self.produce(engine, request)
        for request, share in engine.chunks:
            request.prefilled += share
            if request.prefilled < request.prompt:
                continue
            engine.prompts.remove(request)
            if engine.role is PREFILL:
                self.transfer(engine, request)
            else:
                self.produce(engine, request)

    def transfer(self, engine: RefEngine, request: Req) -> None:
        home = next(e for e in self.engines if request in e.away)
        arrives = self.now + engine.model.transfer_seconds(request.isl)
        heapq.heappush(self.transfers, (arrives, request.number, request, home))

    def produce(self, engine: RefEngine, request: Req) -> None:
        request.produced += 1
        if request not in engine.decoding:
            engine.decoding.append(request)
        if request.produced == 1:
            request.first = self.now
        if request.produced == request.osl:
            request.finish = self.now
            engine.decoding.remove(request)


@pytest.fixture
def reference() -> Callable[..., list[Req]]:
    """What becomes of a trace's requests, by the slow simulator."""

    def run(trace: Trace, scenario: Scenario, schedule: Schedule | None = None) -> list[Req]:
        return Reference(trace, scenario, schedule or []).run()

    return run
