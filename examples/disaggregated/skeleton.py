"""Disaggregated serving without an LLM: who talks to whom, and when.

    python examples/disaggregated/skeleton.py "the quick brown fox" "the quick red fox" "hi"

Processor -> Router (which worker?) -> DecodeWorker, which sends long prompts over a work queue to
whichever PrefillWorker is free and goes on when the result comes back.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator

import msgspec

from runtime import Client, DistributedRuntime, RuntimeConfig, current_context, run_process
from runtime.ports import WorkQueue
from runtime.queue.open import open_queue
from runtime.service import endpoint, on_shutdown, serve_service, service

MAX_LOCAL_WORDS = 2
"""Prompts of which more words than this are new are prefilled elsewhere."""


class PrefillItem(msgspec.Struct, frozen=True):
    """What travels over the queue: the work, and the worker that waits for it."""

    request_id: str
    words: list[str]
    inbox: int


class PrefillResult(msgspec.Struct, frozen=True):
    request_id: str
    kv: str
    """Stands for the parameters with which the KV cache is fetched."""


@service
class Router:
    """Sends prompts that begin alike to the same worker, which has their prefix in its cache."""

    workers: Client
    seen: dict[str, int]

    @endpoint
    async def best_worker(self, words: list[str]) -> int:
        chosen = self.seen.get(words[0])
        listed = [one.instance_id for one in self.workers.instances]
        if chosen not in listed:
            chosen = listed[len(self.seen) % len(listed)]
        self.seen[words[0]] = chosen
        return chosen


@service
class DecodeWorker:
    queue: WorkQueue
    inbox: int
    """The instance id under which its results arrive."""

    def __init__(self) -> None:
        self.waiting: dict[str, asyncio.Future[str]] = {}
        self.cached: set[str] = set()

    @endpoint
    async def generate(self, words: list[str]) -> AsyncIterator[str]:
        new = [word for word in words if word not in self.cached]
        remote = len(new) > MAX_LOCAL_WORDS
        kv = await self.prefilled_elsewhere(new) if remote else "computed here"
        self.cached.update(words)
        yield f"[{len(new)} of {len(words)} words new, KV {kv}]"
        for word in words:
            yield word.upper()

    async def prefilled_elsewhere(self, words: list[str]) -> str:
        context = current_context()
        assert context is not None
        self.waiting[context.id] = asyncio.get_running_loop().create_future()
        item = PrefillItem(context.id, words, self.inbox)
        try:
            await self.queue.push(msgspec.msgpack.encode(item), item_id=context.id)
            return await self.waiting[context.id]
        finally:
            del self.waiting[context.id]

    @endpoint
    async def prefilled(self, result: PrefillResult) -> bool:
        """Take a result; False when nobody waits for it any more."""
        waiter = self.waiting.get(result.request_id)
        if waiter is None or waiter.done():
            return False
        waiter.set_result(result.kv)
        return True


@service
class PrefillWorker:
    """Takes items one by one; acknowledges each only after its result has been delivered."""

    def __init__(self) -> None:
        self.pulling: asyncio.Task[None] | None = None

    def begin(self, name: str, queue: WorkQueue, decode: Client) -> None:
        self.pulling = asyncio.create_task(self.pull(name, queue, decode))

    async def pull(self, name: str, queue: WorkQueue, decode: Client) -> None:
        while True:
            delivery = await queue.pull(timeout=1.0)
            if delivery is None:
                continue
            item = msgspec.msgpack.decode(delivery.body, type=PrefillItem)
            result = PrefillResult(item.request_id, f"of {len(item.words)} words from {name}")
            await decode.call(result, instance_id=item.inbox)
            await delivery.ack()

    @on_shutdown
    async def stop(self) -> None:
        if self.pulling is not None:
            self.pulling.cancel()
            await asyncio.wait({self.pulling})


async def main(prompts: list[str]) -> int:
    config = RuntimeConfig(store_url="memory:", plane_url="memory:")
    async with await DistributedRuntime.connect(config) as runtime:
        queue = await open_queue(config.plane_url, "prefill")
        decode = await runtime.endpoint("DecodeWorker", "generate").client("direct")
        results = await runtime.endpoint("DecodeWorker", "prefilled").client("direct")
        served = []
        for _ in range(2):
            served.append(await serve_service(runtime, DecodeWorker))
            worker, inbox = served[-1].instance, served[-1].endpoints["prefilled"]
            worker.queue, worker.inbox = queue, inbox.instance.instance_id
        for number in range(2):
            served.append(await serve_service(runtime, PrefillWorker))
            served[-1].instance.begin(f"prefill-{number}", queue, results)
        served.append(await serve_service(runtime, Router))
        served[-1].instance.workers, served[-1].instance.seen = decode, {}
        await decode.wait_for_instances(2, timeout=5)
        router = await runtime.endpoint("Router", "best_worker").client()
        for prompt in prompts:
            await process(prompt, router, decode)
        for each in reversed(served):
            await each.close()
        await queue.close()
    return 0


async def process(prompt: str, router: Client, decode: Client) -> None:
    """The processor: tokenize, ask the router, send to the worker that it names."""
    words = prompt.split()
    chosen = await router.call(words)
    stream = await decode.generate(words, instance_id=chosen)
    print(f"{prompt!r} ->", " ".join([item async for item in stream]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prompts", nargs="+")
    options = parser.parse_args()
    sys.exit(run_process(lambda _: main(options.prompts)))
