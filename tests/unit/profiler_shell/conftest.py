"""An OpenAI endpoint whose engine keeps to a law, with the counters that a worker shows."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from aiohttp import web

from planner.core.observation import StepSums
from profiler.live import EngineReading, LiveEngine
from profiler.loadgen import Client, Prompts
from profiler.ports import EngineFacts

Measuring = Callable[..., AbstractAsyncContextManager[tuple[LiveEngine, "ScriptedEngine"]]]

NOTHING = StepSums(
    seconds=0.0, steps=0, prefill_steps=0, decoded=0, kv_tokens=0, prefilled=0, prefilled_squared=0
)


@dataclass(slots=True, eq=False)
class ScriptedEngine:
    """Every prompt takes *prefill_seconds*; steps of *step_seconds* decode all that have begun."""

    prefill_seconds: float = 0.02
    step_seconds: float = 0.002
    cached: int = 0
    counts: bool = True
    together: int = 1
    """Tokens that the server writes at once."""
    refuses: str = ""
    breaks_after: int | None = None
    holds_up: dict[int, float] = field(default_factory=dict)
    """Seconds that prompts take instead, by their number."""
    every: int = 0
    slow_step: float = 0.0
    """Seconds that each so many'th step takes."""
    lengths: dict[int, int] = field(default_factory=dict)
    in_flight: int = 0
    sums: StepSums = NOTHING
    seen: list[tuple[int, ...]] = field(default_factory=list)

    async def read(self) -> EngineReading:
        return EngineReading(
            running=len(self.lengths), waiting=0, in_flight=self.in_flight,
            sums=self.sums if self.counts else None,
        )  # fmt: skip

    def add(self, **more: float) -> None:
        grown = {name: getattr(self.sums, name) + value for name, value in more.items()}
        self.sums = replace(self.sums, **grown)

    async def step_forever(self) -> None:
        while True:
            is_slow = self.every and self.sums.steps % self.every == self.every - 1
            seconds = self.slow_step if is_slow else self.step_seconds
            await asyncio.sleep(seconds)
            if self.lengths:
                self.add(
                    steps=1, seconds=seconds, decoded=len(self.lengths),
                    kv_tokens=sum(self.lengths.values()),
                )  # fmt: skip
                for number in self.lengths:
                    self.lengths[number] += 1

    async def complete(self, request: web.Request) -> web.StreamResponse:
        wanted = await request.json()
        if self.refuses:
            return web.json_response({"error": {"message": self.refuses}}, status=503)
        self.seen.append(tuple(wanted["prompt"]))
        number, self.in_flight = len(self.seen), self.in_flight + 1
        try:
            return await self._answer(request, wanted, number)
        finally:
            self.in_flight -= 1
            self.lengths.pop(number, None)

    async def _answer(self, request: web.Request, wanted: dict, number: int) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        isl = len(wanted["prompt"])
        seconds = self.holds_up.get(number, self.prefill_seconds)
        await asyncio.sleep(seconds)
        self.add(steps=1, prefill_steps=1, seconds=seconds, prefilled=isl - self.cached)
        self.lengths[number] = isl
        osl = wanted["max_tokens"]
        for index in range(osl):
            if index:
                await asyncio.sleep(self.step_seconds * self.together)
            if index == self.breaks_after:
                await response.write(b'data: {"error": {"message": "the engine died"}}\n\n')
                return response
            await response.write(b'data: {"choices": [{"text": "a"}]}\n\n' * self.together)
        usage = {"prompt_tokens": isl, "completion_tokens": osl}
        await response.write(f"data: {json.dumps({'usage': usage})}\n\ndata: [DONE]\n\n".encode())
        return response


FACTS = EngineFacts(
    start_up_seconds=1.0, max_num_seqs=16, max_num_batched_tokens=2048, block_size=16,
    kv_capacity_tokens=100_000, context_length=4096, engine_version="scripted",
)  # fmt: skip


@asynccontextmanager
async def _measuring(
    *, patience: float = 10.0, **settings: Any
) -> AsyncIterator[tuple[LiveEngine, ScriptedEngine]]:
    engine = ScriptedEngine(**settings)
    app = web.Application()
    app.router.add_post("/v1/completions", engine.complete)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1.0)
    async with AsyncExitStack() as stack:
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        steps = asyncio.create_task(engine.step_forever())
        stack.callback(steps.cancel)
        client = await stack.enter_async_context(Client(f"http://127.0.0.1:{port}", timeout=10.0))
        live = LiveEngine(
            FACTS, client=client, prompts=Prompts("m", seed=1), read=engine.read, patience=patience
        )
        yield live, engine


@pytest.fixture
def measuring() -> Measuring:
    """Return what starts a scripted engine of these settings, and yields how it is measured."""
    return _measuring
