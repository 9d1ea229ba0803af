"""The simulator that jumps gives the same times as one that takes every step of every engine."""

import heapq
from dataclasses import dataclass, field, replace
from math import inf

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from planner.core.engine import DecodeLaw, EngineLimits, EngineModel, PrefillLaw
from planner.core.role import Role
from planner.core.sla import Sla
from planner.sim.deployment import RemotePrefill
from planner.sim.run import Scenario, simulate
from planner.traces import Trace

MODEL = EngineModel(
    prefill=PrefillLaw(base_seconds=0.0185, token_seconds=1.4e-5, token_squared_seconds=4.9e-10),
    decode=DecodeLaw(base_seconds=0.0044, request_seconds=3.8e-5, kv_token_seconds=3e-8),
    limits=EngineLimits(
        max_num_batched_tokens=8192,
        max_num_seqs=256,
        block_size=16,
        kv_capacity_tokens=900_000,
        kv_bytes_per_token=131_072,
        transfer_bytes_per_second=5e10,
    ),
)


def limited(**limits: int) -> EngineModel:
    return replace(MODEL, limits=replace(MODEL.limits, **limits))


# --- the reference: every engine takes one step at a time, everything is a list ---------------


@dataclass(eq=False)
class Req:
    number: int
    arrival: float
    isl: int
    osl: int
    prefilled: int = 0
    produced: int = 0
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

    def fits(self, request: Req) -> bool:
        holders = [*self.joining, *self.prompts, *self.decoding, *self.away, request]
        size = self.model.limits.block_size
        blocks = sum(-(-(r.isl + r.osl) // size) for r in holders)
        return blocks <= self.model.limits.kv_capacity_tokens // size


class Reference:
    """A fleet that stays as it is, one step of one engine at a time."""

    def __init__(
        self,
        trace: Trace,
        models: dict[Role, EngineModel],
        initial: dict[Role, int],
        limits: RemotePrefill,
    ):
        self.limits = limits
        columns = zip(trace.arrival_seconds, trace.isl, trace.osl, strict=True)
        self.requests = [Req(i, float(t), int(n), int(m)) for i, (t, n, m) in enumerate(columns)]
        self.arrivals = list(self.requests)
        self.queue: list[Req] = []
        self.transfers: list[tuple[float, int, Req, RefEngine]] = []
        self.engines = [RefEngine(models[r], r) for r, n in initial.items() for _ in range(n)]
        self.front = [e for e in self.engines if e.role is not Role.PREFILL]
        self.now = 0.0

    def run(self) -> list[Req]:
        while True:
            times = [e.step_end for e in self.engines] + [r.arrival for r in self.arrivals[:1]]
            self.now = min([*times, *(t[0] for t in self.transfers)])
            if self.now == inf:
                return self.requests
            self.turn()
            for engine in self.engines:
                if engine.step_end == inf:
                    self.begin(engine)

    def turn(self) -> None:
        """Let the one thing happen that is due."""
        if self.arrivals and self.arrivals[0].arrival == self.now:
            engine = min(self.front, key=lambda e: len(e.everyone))
            request = self.arrivals.pop(0)
            request.remote = self.goes_away(request)
            engine.line.append(request)
            self.let_in(engine)
        elif self.transfers and self.transfers[0][0] == self.now:
            _, _, request, engine = heapq.heappop(self.transfers)
            engine.away.remove(request)
            engine.joining.append(request)
        else:
            engine = next(e for e in self.engines if e.step_end == self.now)
            self.end(engine)
            self.let_in(engine)
            self.begin(engine)

    def goes_away(self, request: Req) -> bool:
        prefill = [e for e in self.engines if e.role is Role.PREFILL]
        most = self.limits.max_prefill_queue_size
        depth = len(self.queue) + sum(len(e.prompts) for e in prefill)
        long = request.isl > self.limits.max_local_prefill_length
        return bool(prefill) and long and (most is None or depth < most)

    def let_in(self, engine: RefEngine) -> None:
        while engine.line and engine.line[0].remote and engine.fits(engine.line[0]):
            engine.away.append(engine.line[0])
            self.queue.append(engine.line.pop(0))
            idle = [e for e in self.engines if e.role is Role.PREFILL and e.step_end == inf]
            if idle:
                self.begin(idle[0])

    def begin(self, engine: RefEngine) -> None:
        limits = engine.model.limits
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

    def choose_chunks(self, engine: RefEngine, budget: int) -> None:
        engine.chunks = []
        source = self.queue if engine.role is Role.PREFILL else engine.line
        candidates = list(engine.prompts)
        while budget > 0 and (candidates or self.may_admit(engine, source)):
            if not candidates:
                engine.prompts.append(source[0])
                candidates.append(source.pop(0))
                self.let_in(engine)
            request = candidates.pop(0)
            share = min(budget, request.isl - request.prefilled)
            engine.chunks.append((request, share))
            budget -= share

    def may_admit(self, engine: RefEngine, source: list[Req]) -> bool:
        if not source or engine.role is Role.PREFILL:
            return bool(source)
        seats = engine.model.limits.max_num_seqs
        return not source[0].remote and engine.seated < seats and engine.fits(source[0])

    def end(self, engine: RefEngine) -> None:
        for request in list(engine.decoding):
            self.produce(engine, request)
        for request, share in engine.chunks:
            request.prefilled += share
            if request.prefilled < request.isl:
                continue
            engine.prompts.remove(request)
            if engine.role is Role.PREFILL:
                self.transfer(engine, request)
            else:
                self.produce(engine, request)

    def transfer(self, engine: RefEngine, request: Req) -> None:
        home = next(e for e in self.front if request in e.away)
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


# --- the comparison ---------------------------------------------------------------------------


def random_trace(seed: int, n: int, *, rate: float, longest: int = 6000) -> Trace:
    rng = np.random.default_rng(seed)
    return Trace(
        name="random",
        arrival_seconds=np.cumsum(rng.exponential(1 / rate, n)),
        isl=rng.integers(1, longest, n),
        osl=np.maximum(1, rng.geometric(1 / 60, n)),
    )


def assert_same(
    trace: Trace,
    models: dict[Role, EngineModel],
    initial: dict[Role, int],
    *,
    limits: RemotePrefill | None = None,
) -> None:
    limits = limits or RemotePrefill()
    scenario = Scenario(
        sla=Sla(ttft_seconds=1), models=models, initial=initial, remote_prefill=limits
    )
    result = simulate(trace, scenario)
    expected = Reference(trace, models, initial, limits).run()
    first = np.array([r.first for r in expected]) - trace.arrival_seconds
    finish = np.array([r.finish for r in expected])
    np.testing.assert_allclose(result.ttft_seconds, first, rtol=0, atol=1e-7)
    np.testing.assert_allclose(result.finish_seconds, finish, rtol=0, atol=1e-7)


P, D, A = Role.PREFILL, Role.DECODE, Role.AGGREGATED
TIGHT_KV = limited(kv_capacity_tokens=12_000)
FEW_SEATS = limited(max_num_seqs=3)
SMALL_STEPS = limited(max_num_batched_tokens=512)
FLEETS = [
    pytest.param({P: MODEL, D: MODEL}, {P: 1, D: 1}, 12, id="1P1D"),
    pytest.param({P: MODEL, D: TIGHT_KV}, {P: 1, D: 1}, 12, id="1P1D little memory"),
    pytest.param({P: MODEL, D: FEW_SEATS}, {P: 1, D: 1}, 12, id="1P1D few seats"),
    pytest.param({P: SMALL_STEPS, D: MODEL}, {P: 1, D: 1}, 6, id="1P1D chunked prompts"),
    pytest.param({P: MODEL, D: MODEL}, {P: 2, D: 3}, 40, id="2P3D"),
    pytest.param({P: SMALL_STEPS, D: TIGHT_KV}, {P: 4, D: 3}, 30, id="4P3D all limits"),
    pytest.param({A: MODEL}, {A: 1}, 12, id="1 aggregated"),
    pytest.param({A: TIGHT_KV}, {A: 1}, 6, id="1 aggregated little memory"),
    pytest.param({A: FEW_SEATS}, {A: 1}, 6, id="1 aggregated few seats"),
    pytest.param({A: SMALL_STEPS}, {A: 1}, 6, id="1 aggregated chunked prompts"),
    pytest.param({A: MODEL}, {A: 4}, 60, id="4 aggregated"),
    pytest.param({A: limited(max_num_seqs=3, max_num_batched_tokens=3)}, {A: 2}, 0.02, id="tiny"),
]


@pytest.mark.parametrize(("models", "initial", "rate"), FLEETS)
def test_every_time_is_that_of_the_reference(models, initial, rate):
    assert_same(random_trace(7, 150 if rate > 1 else 12, rate=rate), models, initial)


SOME_LOCAL = RemotePrefill(max_local_prefill_length=3000)
SHORT_QUEUE = RemotePrefill(max_local_prefill_length=500, max_prefill_queue_size=2)


@pytest.mark.parametrize("limits", [SOME_LOCAL, SHORT_QUEUE], ids=["by length", "by queue"])
@pytest.mark.parametrize("model", [MODEL, TIGHT_KV, FEW_SEATS, SMALL_STEPS])
def test_every_time_is_that_of_the_reference_when_some_prompts_stay(model, limits):
    trace = random_trace(11, 150, rate=20)
    assert_same(trace, {P: MODEL, D: model}, {P: 1, D: 2}, limits=limits)


@settings(max_examples=60, deadline=None)
@example(19708, 1, 1, 1, MODEL, RemotePrefill())
@given(
    st.integers(0, 10**6),
    st.sampled_from([1, 20, 200]),
    st.integers(0, 3),
    st.integers(1, 3),
    st.sampled_from([MODEL, TIGHT_KV, FEW_SEATS, SMALL_STEPS]),
    st.sampled_from([RemotePrefill(), SOME_LOCAL, SHORT_QUEUE]),
)
def test_every_time_is_that_of_the_reference_for_any_load(
    seed, rate, prefill, decode, model, limits
):
    trace = random_trace(seed, 25, rate=rate)
    if prefill:
        assert_same(trace, {P: model, D: model}, {P: prefill, D: decode}, limits=limits)
    else:
        assert_same(trace, {A: model}, {A: decode})
