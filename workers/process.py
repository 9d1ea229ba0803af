"""One worker process from start to end, whatever its engine: the code path that all of them share.

Metrics first, then the engine, then registration: a worker that is listed is warm. A signal takes
the same steps back: unlisted, drained, gone.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, TypeVar

from planner.core.role import Role
from runtime.config import RuntimeConfig
from runtime.errors import MessagingUnavailable, RuntimeFault, StoreUnavailable
from runtime.http.exposition import add_exposition
from runtime.http.routes import Routes
from runtime.http.server import HttpServer
from runtime.kv_events.publisher import KvPublisher
from runtime.runtime import DistributedRuntime
from runtime.stream.sockets import format_address
from workers.control import add_control
from workers.metrics import WorkerMetrics
from workers.options import WorkerOptions
from workers.parts import Equipment, PartMaker
from workers.registration import Registration
from workers.sleep import Bed, NotNow, State
from workers.stages import Stages
from workers.warmup import warm_up

log = logging.getLogger(__name__)

CONNECT_PAUSE_SECONDS = 0.5

_T = TypeVar("_T")


class Worker:
    """One process that serves one role with one engine."""

    def __init__(
        self,
        options: WorkerOptions,
        equipment: Equipment,
        *,
        metrics: WorkerMetrics,
        instance_id: int,
        stages: Stages | None = None,
    ) -> None:
        self._options = options
        self._equipment = equipment
        self._metrics = metrics
        self._instance_id = instance_id
        self._stages = stages or Stages()
        self._registration: Registration | None = None
        self._bed: Bed | None = None
        self._queue_depth: Callable[[], int | None] = lambda: None
        self._metrics_url = ""

    async def run(self, stop: asyncio.Event) -> int:
        """Serve until *stop* is set or the engine fails; returns the exit code."""
        async with AsyncExitStack() as stack:
            try:
                await self._show(stack)
                started = await _unless(stop, self._start(stack))
            except RuntimeFault as fault:
                log.error("worker not started name=%s: %s", self._options.name, fault)  # noqa: TRY400 - one line
                return 2
            if not started:
                return 0
            failure = await _unless(stop, self._equipment.engine.wait_failed())
            if failure is not None:
                log.error("engine failed name=%s: %s", self._options.name, failure)
                return 1
            await self._drain()
            return 0

    async def _show(self, stack: AsyncExitStack) -> None:
        """Answer /metrics, /health and control. Raises RuntimeFault when the port cannot be had."""
        options, routes = self._options, Routes()
        self._metrics.read(
            stats=self._equipment.engine.stats,
            in_flight=lambda: self._in_flight,
            queue_depth=lambda: self._queue_depth(),
        )
        add_exposition(routes, self._metrics.registry, self._health)
        add_control(
            routes,
            sleep=lambda: self._made_bed.sleep(),
            wake=lambda: self._made_bed.wake(),
            host=options.listens_on,
        )
        server = HttpServer(routes)
        try:
            await server.start(options.listens_on, options.metrics_port)
        except OSError as error:
            raise RuntimeFault(f"metrics port {options.metrics_port}: {error.strerror}") from error
        stack.push_async_callback(server.close)
        self._metrics_url = f"http://{format_address(options.host, server.port)}/metrics"
        self._complete("process")

    async def _start(self, stack: AsyncExitStack) -> bool:
        """Warm the engine up, then let others find it."""
        engine = self._equipment.engine
        stack.push_async_callback(engine.close)
        await engine.start()
        self._complete("engine")
        await warm_up(engine)
        self._complete("warm-up")
        runtime = await self._connect()
        stack.push_async_callback(runtime.close)
        await self._tell_blocks(runtime, stack)
        maker = PartMaker(
            runtime,
            self._options,
            equipment=self._equipment,
            metrics=self._metrics,
            stack=stack,
        )
        part = await maker.make()
        self._queue_depth = part.queue_depth
        self._registration = await Registration.publish(
            runtime,
            part,
            component=self._options.role,
            instance_id=self._instance_id,
            metadata=self._metadata(),
        )
        self._bed = Bed(
            engine,
            self._registration,
            patience=self._options.drain_timeout,
            warm_up=partial(warm_up, engine),
        )
        stack.push_async_callback(self._bed.close)
        self._complete("registered")
        return True

    async def _connect(self) -> DistributedRuntime:
        """Return the runtime as soon as store and request plane are there."""
        config = RuntimeConfig(
            store_url=self._options.store_url,
            plane_url=self._options.plane_url,
            namespace=self._options.namespace,
            host=self._options.host,
            bind=self._options.bind,
        )
        while True:
            try:
                return await DistributedRuntime.connect(config)
            except (StoreUnavailable, MessagingUnavailable) as error:
                log.warning("waiting to connect name=%s: %s", self._options.name, error)
                await asyncio.sleep(CONNECT_PAUSE_SECONDS)

    async def _tell_blocks(self, runtime: DistributedRuntime, stack: AsyncExitStack) -> None:
        """Tell routers what the prefix cache has, unless requests come by the queue alone."""
        ledger = self._equipment.ledger
        if ledger is None or self._options.role is Role.PREFILL:
            return
        publisher = await KvPublisher.start(
            runtime.plane,
            ledger,
            namespace=self._options.namespace,
            component=self._options.role,
            instance_id=self._instance_id,
        )
        stack.push_async_callback(publisher.close)

    async def _drain(self) -> None:
        assert self._registration is not None
        assert self._bed is not None
        await self._bed.close()
        log.info("worker draining name=%s in_flight=%d", self._options.name, self._in_flight)
        finished = await self._registration.drain(self._options.drain_timeout)
        log.info("worker drained name=%s finished=%s", self._options.name, finished)

    def _metadata(self) -> Mapping[str, Any]:
        return {
            "name": self._options.name,
            "role": self._options.role.value,
            "metrics_url": self._metrics_url,
            "gpus": self._equipment.gpus,
            "max_num_batched_tokens": self._equipment.loaded().token_budget,
        }

    def _health(self) -> tuple[bool, Mapping[str, Any]]:
        page = {
            "state": self._state,
            "name": self._options.name,
            "role": self._options.role.value,
            "model": self._options.model_name,
            "in_flight": self._in_flight,
            "start_seconds": self._stages.seconds,
        }
        return self._state is State.READY, page

    @property
    def _state(self) -> State:
        return State.STARTING if self._bed is None else self._bed.state

    @property
    def _made_bed(self) -> Bed:
        if self._bed is None:
            raise NotNow("the worker is starting")
        return self._bed

    @property
    def _in_flight(self) -> int:
        return 0 if self._registration is None else self._registration.in_flight

    def _complete(self, stage: str) -> None:
        seconds = self._stages.complete(stage)
        self._metrics.set_start(stage, seconds)
        log.info("worker started name=%s stage=%s seconds=%.2f", self._options.name, stage, seconds)


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, _T]) -> _T | None:
    """Return what *work* returns, or None when *stop* is set before; *work* is then cancelled."""
    tasks = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    return None if tasks[0].cancelled() else tasks[0].result()
