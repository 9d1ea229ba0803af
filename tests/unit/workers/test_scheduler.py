"""The scheduler on a virtual clock: its laws, and its step times against the engine law."""

import zlib
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.core.engine import DecodeLaw, EngineLimits, EngineModel, PrefillLaw
from runtime.errors import InvalidRequest
from runtime.kv_events.blocks import block_hashes
from runtime.kv_events.ledger import BlockLedger
from runtime.protocol import FinishReason, GenerateRequest, Sampling
from workers.simulated.scheduler import Limits, Scheduler, Step, Token
from workers.simulated.sequence import Phase, Sequence

MODEL = EngineModel(
    prefill=PrefillLaw(base_seconds=0.010, token_seconds=1e-5, token_squared_seconds=1e-9),
    decode=DecodeLaw(base_seconds=0.004, request_seconds=5e-5, kv_token_seconds=1e-7),
    limits=EngineLimits(
        max_num_batched_tokens=8192,
        max_num_seqs=256,
        block_size=16,
        kv_capacity_tokens=16_000,
        kv_bytes_per_token=131_072,
        transfer_bytes_per_second=50e9,
    ),
)
LIMITS = Limits(kv_blocks=1000)


def sequence(name: str, prompt: int, osl: int, *, first: int | None = None) -> Sequence:
    """A prompt of distinct tokens, so that nothing is shared unless *first* says so."""
    start = zlib.crc32(name.encode()) % 40_000 * 100_000 if first is None else first
    request = GenerateRequest(
        request_id=name,
        token_ids=list(range(start, start + prompt)),
        sampling=Sampling(max_tokens=osl),
    )
    return Sequence.of(request)


def draw(sequence: Sequence) -> int:
    return len(sequence.tokens)


def scheduler(limits: Limits = LIMITS, *, ledger: BlockLedger | None = None) -> Scheduler:
    return Scheduler(limits, draw, ledger=ledger)


def run(machine: Scheduler, *, steps: int = 10_000) -> list[tuple[float, Token]]:
    """Run until nothing is left; the tokens with the virtual seconds at which they came."""
    now, tokens = 0.0, []
    for _ in range(steps):
        step = machine.schedule()
        if not step.parts:
            return tokens
        now += seconds(step)
        tokens += [(now, token) for token in machine.commit(step)]
    raise AssertionError("it never came to an end")


def seconds(step: Step) -> float:
    return MODEL.step_seconds(
        decoding=step.decodes, kv_tokens=step.decode_context, chunks=step.chunks
    )


# One prompt of 1000 tokens alone: 10 ms + 1000 * 10 us + 1000^2 * 1 ns = 21 ms to the first token,
# then 4 ms + 50 us + 1001 * 0.1 us = 4.1501 ms to the second.
TIMES = [
    pytest.param(LIMITS, [(1000, 2)], [0.021, 0.0251501], id="one prompt"),
    # Both prompts in one batch: 10 ms + 2 * 1.01 ms.
    pytest.param(LIMITS, [(100, 1), (100, 1)], [0.01202, 0.01202], id="a batch pays the base once"),
    # Chunks of 600 and 400: 10 + 6 + 0.36 = 16.36 ms, then 10 + 4 + 0.64 = 14.64 ms.
    pytest.param(replace(LIMITS, token_budget=600), [(1000, 1)], [0.031], id="chunks"),
    # The second waits for the first: 21 ms, then 21 ms of its own.
    pytest.param(
        replace(LIMITS, max_num_seqs=1), [(1000, 1), (1000, 1)], [0.021, 0.042], id="one place"
    ),
    # Budget 1000: first 1000-prompt fills step 1; step 2 decodes it (ctx 1001) and prefills 999 of
    # the second: max base 10 + 0.05 + 0.1001 + 9.99 + 0.998001 = 21.138101 ms; its last token
    # counts as a decode of context 1000: 4 + 0.05 + 0.1 = 4.15 ms.
    pytest.param(
        replace(LIMITS, token_budget=1000),
        [(1000, 2), (1000, 1)],
        [0.021, 0.042138101, 0.046288101],
        id="decode and prefill share a step",
    ),
]


@pytest.mark.parametrize(("limits", "requests", "expected"), TIMES)
def test_tokens_come_when_the_engine_law_says(limits, requests, expected):
    machine = scheduler(limits)
    for index, (prompt, osl) in enumerate(requests):
        machine.add(sequence(f"r{index}", prompt, osl))
    assert [at for at, _ in run(machine)] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("token", [-1, 2**32])
def test_what_is_no_token_is_refused(token):
    one = sequence("r", 20, 1)
    one.tokens[7] = token
    with pytest.raises(InvalidRequest, match="4294967295"):
        scheduler().add(one)


def test_cached_blocks_have_the_names_that_routers_look_for():
    ledger = BlockLedger(LIMITS.block_size)
    machine = scheduler(ledger=ledger)
    one = sequence("r", 40, 10)
    machine.add(one)
    run(machine)
    names = block_hashes(one.tokens, LIMITS.block_size)
    assert len(names) == 3  # the last token of the output has no KV
    assert all(name in ledger for name in names)
    assert len(ledger) == 3


def test_a_steady_batch_keeps_the_decode_law():
    machine = scheduler()
    for index in range(8):
        machine.add(sequence(f"r{index}", 160, 50))
    machine.commit(machine.schedule())
    for generated in range(1, 50):
        step = machine.schedule()
        context = 8 * (160 + generated)
        assert seconds(step) == pytest.approx(0.004 + 8 * 5e-5 + context * 1e-7)
        machine.commit(step)
    assert machine.is_empty


def test_a_prompt_seen_before_costs_its_last_block_only():
    machine = scheduler()
    machine.add(sequence("a", 1000, 1, first=0))
    run(machine)
    again = sequence("b", 1000, 1, first=0)
    machine.add(again)
    step = machine.schedule()
    assert again.cached_tokens == 992  # 62 full blocks of 16
    assert step.chunks == [(992, 1000)]
    assert machine.cached(list(range(1000))) == 992
    assert machine.cached(list(range(1, 1000))) == 0


def test_freed_blocks_are_forgotten_in_the_order_they_were_freed():
    machine = scheduler(Limits(kv_blocks=8))
    for first in (0, 1000):
        machine.add(sequence(f"r{first}", 48, 1, first=first))
        run(machine)
    machine.add(sequence("other", 64, 1, first=2000))  # takes 4: 2 never used, 2 freed first
    run(machine)
    assert machine.cached(list(range(48))) == 16  # of one sequence the last block goes first
    assert machine.cached(list(range(1000, 1048))) == 32


def test_the_latest_gives_way_when_blocks_run_out_and_comes_back():
    machine = scheduler(Limits(kv_blocks=8))
    machine.add(sequence("old", 60, 40))
    machine.add(sequence("new", 60, 40))
    tokens = run(machine)
    assert machine.preemptions >= 1
    done = [t.sequence.request_id for _, t in tokens if t.finish_reason]
    assert done == ["old", "new"]
    per_request = {name: [t for _, t in tokens if t.sequence.request_id == name] for name in done}
    assert [len(per_request[name]) for name in done] == [40, 40]
    assert machine.pool.used == 0


@pytest.mark.parametrize("prompt", [0, 16_000, 20_000])
def test_what_can_never_be_served_is_refused(prompt):
    machine = scheduler()
    with pytest.raises(InvalidRequest, match="1 to 15999"):
        machine.add(sequence("r", prompt, 1))
    assert machine.is_empty


def test_memory_ends_an_output_like_the_context_length_does():
    machine = scheduler(Limits(kv_blocks=2))
    machine.add(sequence("r", 30, 100))
    tokens = [token for _, token in run(machine)]
    assert len(tokens) == 2
    assert tokens[-1].finish_reason is FinishReason.LENGTH


def test_a_held_sequence_owns_its_blocks_and_waits():
    machine = scheduler()
    held = Sequence.of(
        GenerateRequest(
            request_id="h", token_ids=list(range(1000)), sampling=Sampling(max_tokens=2)
        ),
        held=True,
    )
    machine.add(held)
    step = machine.schedule()
    assert step.granted == [held]
    assert not step.parts
    assert machine.pool.used == 63
    assert machine.waiting == machine.running == machine.waiting_tokens == 0

    machine.resume("h", transferred=True)
    step = machine.schedule()
    assert (step.decodes, step.decode_context, step.chunks) == (1, 1000, [])
    assert len(machine.commit(step)) == 1
    run(machine)
    assert machine.pool.used == 0


def test_a_held_sequence_can_be_computed_here_after_all():
    machine = scheduler()
    held = sequence("h", 100, 1)
    held.held = True
    machine.add(held)
    machine.schedule()
    machine.resume("h", transferred=False)
    assert machine.waiting_tokens == 100
    assert machine.schedule().chunks == [(0, 100)]


@dataclass(frozen=True)
class Arrival:
    prompt: int
    osl: int
    first: int | None
    kind: str
    aborted_after: int | None
    at: int


ARRIVALS = st.lists(
    st.builds(
        Arrival,
        prompt=st.integers(1, 90),
        osl=st.integers(1, 40),
        first=st.sampled_from([None, 0, 64]),  # the same start is the same prompt: shared blocks
        kind=st.sampled_from(["local", "remote", "fallback"]),
        aborted_after=st.none() | st.integers(0, 20),
        at=st.integers(0, 10),
    ),
    min_size=1,
    max_size=12,
)


class Driver:
    """Drives one scheduler tick by tick and checks the laws that hold at every one."""

    def __init__(self, arrivals: list[Arrival], limits: Limits) -> None:
        self.ledger = BlockLedger(limits.block_size)
        self.machine = scheduler(limits, ledger=self.ledger)
        self.limits = limits
        self.started: list[Sequence] = []
        self.requests = {
            sequence(f"r{i}", min(a.prompt, limits.longest - 1), a.osl, first=a.first): a
            for i, a in enumerate(arrivals)
        }

    def tick(self, now: int) -> None:
        for one, arrival in self.requests.items():
            if now == arrival.at:
                one.held = arrival.kind != "local"
                self.machine.add(one)
            if arrival.aborted_after is not None and now == arrival.at + arrival.aborted_after:
                self.machine.abort(one.request_id)
        step = self.machine.schedule()
        self.check(step)
        self.machine.commit(step)
        for held in step.granted:
            transferred = self.requests[held].kind == "remote"
            self.machine.resume(held.request_id, transferred=transferred)

    def check(self, step: Step) -> None:
        assert sum(number for _, number in step.parts) <= self.limits.token_budget
        assert self.machine.running <= self.limits.max_num_seqs
        assert set(self.machine.pool._by_content) == set(self.ledger._blocks)
        blocks = [one.blocks for one in self.requests]
        assert len({block for held in blocks for block in held}) == self.machine.pool.used
        assert self.machine.pool.used + self.machine.pool.free == self.limits.kv_blocks
        assert all(len(held) == len(set(held)) for held in blocks)
        assert all(len(one.blocks) * 16 >= one.computed + n for one, n in step.parts)
        self.started += [one for one, _ in step.parts if one not in self.started]


@settings(max_examples=150, deadline=None)
@given(ARRIVALS, st.integers(6, 20), st.integers(8, 64), st.integers(1, 6))
def test_laws(arrivals, kv_blocks, token_budget, max_num_seqs):
    """Blocks are conserved, limits hold in each step, first come is first served, all end."""
    limits = Limits(kv_blocks=kv_blocks, token_budget=token_budget, max_num_seqs=max_num_seqs)
    driver = Driver(arrivals, limits)
    for now in range(3000):
        driver.tick(now)
        if now > 10 and driver.machine.is_empty:
            break
    assert driver.machine.is_empty
    assert driver.machine.pool.used == 0
    for one, arrival in driver.requests.items():
        assert one.phase is Phase.DONE
        assert one.produced <= arrival.osl
        finished = one.produced == arrival.osl or len(one.tokens) == limits.longest
        assert finished or arrival.aborted_after is not None
    in_line = [one for one, a in sorted(driver.requests.items(), key=lambda item: item[1].at)]
    local = [one for one in in_line if driver.requests[one].kind == "local"]
    started = [one for one in driver.started if one in local]
    assert started == [one for one in local if one in started]
