"""Engines with nothing to do rest, whatever became of what they were asked: by processor time."""

import asyncio
import time
from dataclasses import dataclass

import psutil
import pytest
from msgspec.structs import replace

from runtime.errors import InvalidRequest
from runtime.queue.open import open_queue
from workers.disaggregation.messages import queue_name
from workers.disaggregation.remote import RemotePrefill
from workers.engine import Prefilled

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]

LOOK_SECONDS = 2.0
RESTING = 0.15
"""Of a core. An engine that looks for a fetch all the time takes 0.3, NIXL without a rest 1."""
SOON_SECONDS = 12.0
"""vLLM itself lets go of KV after 30."""


def processor_seconds(worker) -> float:
    this = psutil.Process(worker.process.pid)
    times = [each.cpu_times() for each in (this, *this.children(recursive=True))]
    return sum(each.user + each.system for each in times)


async def shares(*workers) -> list[float]:
    """Return what each of *workers* takes of a core."""
    before, began = [processor_seconds(each) for each in workers], time.monotonic()
    await asyncio.sleep(LOOK_SECONDS)
    seconds = time.monotonic() - began
    return [
        (processor_seconds(each) - was) / seconds for each, was in zip(workers, before, strict=True)
    ]


async def until_resting(*workers) -> None:
    deadline = time.monotonic() + SOON_SECONDS
    while max(taken := await shares(*workers)) > RESTING:
        assert time.monotonic() < deadline, taken


async def test_engines_rest_after_a_transfer(deployment, trio, requests, ask):
    (first, *_) = await ask(await deployment.client("decode"), requests.make(tokens=300))
    assert first.remote_prefill is True
    await until_resting(trio.prefill, trio.decode)


@dataclass
class Cancelling:
    """The streams of a decode side whose user leaves in the moment that the result comes."""

    streams: object
    task: asyncio.Task[object] | None = None

    @property
    def address(self):
        return self.streams.address

    def expect(self, sink, **how):
        stream = self.streams.expect(sink, **how)
        take = stream.on_data
        stream.on_data = lambda body: (take(body), self.task.cancel())
        return stream


async def test_kv_of_a_request_that_is_cancelled_keeps_no_engine_from_resting(
    deployment, trio, requests
):
    runtime, config = deployment.runtime, deployment.runtime.config
    queue = await open_queue(
        config.plane_url, queue_name(config.namespace), ack_wait=2.0, plane=runtime.plane
    )
    streams = Cancelling(await runtime.streams())
    remote = RemotePrefill(
        queue, streams, time_limit=30.0, workers_left=lambda: 1, count=lambda outcome: None
    )
    streams.task = asyncio.create_task(remote.prefill(requests.make(tokens=700)))
    with pytest.raises(asyncio.CancelledError):
        await streams.task
    await queue.close()
    await until_resting(trio.prefill, trio.decode)
    assert (await deployment.page(trio.prefill))["kv_blocks_used"] == 0


async def test_kv_of_a_request_that_is_refused_keeps_no_engine_from_resting(
    deployment, trio, requests, ask, nothing_sent_away
):
    prefill = await deployment.client("prefill")
    one = requests.make(tokens=700)
    (made,) = [each async for each in await prefill.generate(one, response_type=Prefilled)]
    held = await deployment.page(trio.prefill)
    asked = replace(one, transfer=made.transfer, sampling=replace(one.sampling, priority=3))
    with pytest.raises(InvalidRequest, match="priority"):
        await ask(await deployment.client("decode"), asked)
    await until_resting(trio.prefill, trio.decode)
    assert held["kv_blocks_used"] > 0 == (await deployment.page(trio.prefill))["kv_blocks_used"]
