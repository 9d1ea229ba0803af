"""Brings a request to an instance and its response back, across instances that come and go."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from runtime.call import Call
from runtime.errors import DeadlineExceeded, NoInstances, Overloaded, RuntimeFault
from runtime.frontend.generation import Generation
from runtime.frontend.metrics import ModelMetrics
from runtime.frontend.model import ServedModel

log = logging.getLogger(__name__)

_SHORTEST_WAIT = 0.02
_LONGEST_WAIT = 0.5
_BACK_OFF = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayLimits:
    """How long and how often a request is tried; times in seconds."""

    queue_timeout: float = 30.0
    """How long a request waits for an instance of a model that is known."""
    queue_limit: int = 1000
    """How many requests may wait at once."""
    migrations: int = 3
    """How often one response may go on elsewhere."""
    avoid_seconds: float = 1.0
    """How long an instance that broke a response is passed over while no other appears."""
    request_timeout: float = 600.0
    """From arrival to the last token."""


@dataclass(slots=True, kw_only=True)
class Errand:
    """One request on its way: what it is, and what has happened to it."""

    model: ServedModel
    generation: Generation
    metrics: ModelMetrics
    arrived: float
    avoid: set[int] = field(default_factory=set)
    """Instances that broke it."""
    fault: RuntimeFault | None = None
    """Why the last attempt to open it failed."""


class Relay:
    """Opens calls for generations, holds them while nobody can work on them, resumes them."""

    def __init__(self, limits: RelayLimits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._waiting = 0

    async def run(self, errand: Errand) -> None:
        """Return once the generation is complete; raises the RuntimeFault that ended it instead."""
        for migration in range(self._limits.migrations + 1):
            call = await self._open(errand)
            fault = await errand.generation.ended()
            if fault is None:
                return
            if not fault.retryable or migration == self._limits.migrations:
                raise fault
            await self._migrate(errand, call, fault, back_off=_BACK_OFF * migration)

    async def _migrate(
        self, errand: Errand, call: Call, fault: RuntimeFault, *, back_off: float
    ) -> None:
        errand.avoid.add(call.instance_id)
        errand.metrics.migrations.inc()
        log.info(
            "response migrates request=%s from=%x reason=%s",
            errand.generation.request.request_id,
            call.instance_id,
            fault.code,
        )
        await asyncio.sleep(back_off)

    async def _open(self, errand: Errand) -> Call:
        call = await self._try(errand)
        if call is not None:
            return call
        if self._waiting >= self._limits.queue_limit:
            raise Overloaded(f"{self._waiting} requests wait for an instance already")
        self._waiting += 1
        errand.metrics.queued.inc()
        try:
            return await self._wait(errand)
        finally:
            self._waiting -= 1
            errand.metrics.queued.dec()

    async def _wait(self, errand: Errand) -> Call:
        began = self._clock()
        pause = _SHORTEST_WAIT
        while (waited := self._clock() - began) < self._limits.queue_timeout:
            await errand.model.wait_changed(timeout=pause)
            pause = min(2 * pause, _LONGEST_WAIT)
            if waited > self._limits.avoid_seconds:
                errand.avoid.clear()
            call = await self._try(errand)
            if call is not None:
                return call
        name = errand.model.card.name
        raise errand.fault or NoInstances(f"no instance of model {name!r} within {waited:.0f} s")

    async def _try(self, errand: Errand) -> Call | None:
        """Return the call, or None when it is worth trying again."""
        remaining = errand.arrived + self._limits.request_timeout - self._clock()
        if remaining <= 0:
            raise DeadlineExceeded("the request's time was up before an instance took it")
        route = errand.model.pick(errand.avoid)
        if route is None:
            return None
        generation = errand.generation
        payload, token_ids = generation.begin()
        try:
            call = await route.client.open(
                payload,
                generation,
                request_id=generation.request.request_id,
                timeout=remaining,
                exclude=route.strangers() | errand.avoid,
                token_ids=token_ids,
            )
        except RuntimeFault as fault:
            if not fault.retryable:
                raise
            errand.fault = fault
            return None
        generation.attach(call)
        return call
