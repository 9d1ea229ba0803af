"""What a worker of each role does besides running its engine: the parts that `process` puts up."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import msgspec

from planner.core.role import Role
from runtime.context import Context
from runtime.instance import InstanceState
from runtime.invocation import Handler
from runtime.kv_events.ledger import BlockLedger
from runtime.ports import WorkQueue
from runtime.protocol import GenerateRequest, ModelCard
from runtime.queue.open import open_queue
from runtime.runtime import DistributedRuntime
from workers.disaggregation.conditional import ConditionalPrefill
from workers.disaggregation.delivery import Prefilling
from workers.disaggregation.depth import QueueDepth
from workers.disaggregation.messages import dead_letter_name, queue_name
from workers.disaggregation.puller import PrefillPuller
from workers.disaggregation.remote import RemotePrefill
from workers.disaggregation.settings import LimitsWatch
from workers.engine import Engine, Prefilled
from workers.metrics import WorkerMetrics
from workers.options import WorkerOptions
from workers.serving import Route, Serving

GENERATE = "generate"
PREFILL = "prefill"
"""The endpoint of prefill workers. Their work comes from the queue; it makes them visible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What an engine holds and does in a step, where only loading it shows."""

    context_length: int
    kv_block_size: int
    kv_blocks: int
    max_num_seqs: int
    token_budget: int
    extras: tuple[str, ...] = ()
    """What it does of `runtime.protocol.NEUTRAL`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """What an engine brings to its worker."""

    engine: Engine
    card: ModelCard
    gpus: int
    token_budget: int
    """Tokens of a step: how many a prefill worker takes on at a time."""
    capacity: Callable[[], Capacity] | None = None
    """Tells once the engine is loaded; None where card and budget say it already."""
    ledger: BlockLedger | None = None
    """What the prefix cache has, for those who route by it; None where nobody knows."""

    def loaded(self) -> "Equipment":
        """Return this with what the loaded engine turned out to hold."""
        if self.capacity is None:
            return self
        found = self.capacity()
        card = msgspec.structs.replace(
            self.card,
            context_length=found.context_length,
            kv_block_size=found.kv_block_size,
            total_kv_blocks=found.kv_blocks,
            max_num_seqs=found.max_num_seqs,
            extras=found.extras,
        )
        return replace(self, card=card, token_budget=found.token_budget)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One role's endpoint, and the work that reaches it on other ways."""

    endpoint: str
    handler: Handler
    card: ModelCard | None
    """What to offer to frontends; None for a role that they do not send requests to."""
    drain: Callable[[float], Awaitable[bool]] | None = None
    """Ends the other work within so many seconds; returns whether all was finished."""
    resume: Callable[[], None] = lambda: None
    """Begins the other work again after `drain`."""
    in_flight: Callable[[], int] = lambda: 0
    """The other work."""
    queue_depth: Callable[[], int | None] = lambda: None


class PartMaker:
    """Makes the part of a worker's role, whose engine is loaded; *stack* closes what it opens."""

    def __init__(
        self,
        runtime: DistributedRuntime,
        options: WorkerOptions,
        *,
        equipment: Equipment,
        metrics: WorkerMetrics,
        stack: AsyncExitStack,
    ) -> None:
        self._runtime = runtime
        self._options = options
        self._equipment = equipment.loaded()
        self._metrics = metrics
        self._stack = stack

    async def make(self) -> Part:
        """Return the part. Raises StoreUnavailable and MessagingUnavailable."""
        match self._options.role:
            case Role.AGGREGATED:
                return self._serving(None)
            case Role.DECODE:
                return await self._decode()
            case Role.PREFILL:
                return await self._prefill()

    def _serving(
        self, route: Route | None, queue_depth: Callable[[], int | None] = lambda: None
    ) -> Part:
        serving = Serving(
            self._equipment.engine, route=route, count_local=self._metrics.count_local_prefill
        )
        self._stack.push_async_callback(serving.close)
        return Part(
            endpoint=GENERATE,
            handler=serving.generate,
            card=self._equipment.card,
            queue_depth=queue_depth,
        )

    async def _decode(self) -> Part:
        depth = self._depth(await self._queue(queue_name))
        limits = await LimitsWatch.start(
            self._runtime.store, self._options.namespace, defaults=self._options.limits
        )
        self._stack.push_async_callback(limits.close)
        workers = await self._runtime.endpoint(Role.PREFILL, PREFILL).client()
        remote = RemotePrefill(
            depth.queue,
            await self._runtime.streams(),
            time_limit=self._options.remote_prefill_timeout,
            workers_left=lambda: sum(
                one.state is not InstanceState.SLEEPING for one in workers.all_instances
            ),
            count=self._metrics.count_remote_prefill,
        )
        routing = ConditionalPrefill(
            remote, limits=limits, depth=depth, anyone_ready=lambda: bool(workers.instances)
        )
        return self._serving(routing.route, lambda: depth.last)

    async def _prefill(self) -> Part:
        engine = self._equipment.engine
        depth = self._depth(await self._queue(queue_name))
        prefilling = Prefilling(
            engine=engine,
            responses=self._runtime.responses,
            dead_letters=await self._queue(dead_letter_name),
            ack_wait=self._options.prefill_ack_wait,
        )
        puller = PrefillPuller(depth.queue, prefilling, token_budget=self._equipment.token_budget)
        self._stack.push_async_callback(puller.drain, 0.0)
        puller.start()

        async def prefill(request: GenerateRequest, _context: Context) -> Prefilled:
            return await engine.prefill(request)

        return Part(
            endpoint=PREFILL,
            handler=prefill,
            card=None,
            drain=puller.drain,
            resume=puller.start,
            in_flight=lambda: puller.in_flight,
            queue_depth=lambda: depth.last,
        )

    async def _queue(self, name: Callable[[str], str]) -> WorkQueue:
        queue = await open_queue(
            self._options.plane_url,
            name(self._options.namespace),
            ack_wait=self._options.prefill_ack_wait,
            plane=self._runtime.plane,
        )
        self._stack.push_async_callback(queue.close)
        return queue

    def _depth(self, queue: WorkQueue) -> QueueDepth:
        depth = QueueDepth(queue)
        self._stack.push_async_callback(depth.close)
        return depth
