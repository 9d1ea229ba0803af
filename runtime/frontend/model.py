"""A model as this frontend serves it: its card, its tokenizer, and the instances behind it."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from runtime.client import Client
from runtime.frontend.tokenizer import ModelTokenizer
from runtime.protocol import ModelCard


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The instances of one endpoint that serve the model."""

    client: Client
    instance_ids: frozenset[int]

    def ready(self, without: Collection[int]) -> int:
        """Return how many instances take requests, not counting *without*."""
        ids = [record.instance_id for record in self.client.instances]
        return sum(1 for known in ids if known in self.instance_ids and known not in without)

    def strangers(self) -> frozenset[int]:
        """Return the endpoint's instances that do not serve the model."""
        ids = {record.instance_id for record in self.client.instances}
        return frozenset(ids - self.instance_ids)


class ServedModel:
    """One model; its routes change as workers come and go."""

    def __init__(self, card: ModelCard, tokenizer: ModelTokenizer, *, created: int) -> None:
        self.card = card
        self.tokenizer = tokenizer
        self.created = created
        self.extras = frozenset(card.extras)
        """What its engines do of `runtime.protocol.NEUTRAL`, all of them."""
        self.left_at: float | None = None
        """When its last worker left, on the directory's clock; None while there is one."""
        self._routes: tuple[Route, ...] = ()
        self._turn = 0
        self._changed = asyncio.Event()

    @property
    def routes(self) -> tuple[Route, ...]:
        """Return where requests can go."""
        return self._routes

    def instances(self) -> int:
        """Return how many instances take requests for it."""
        return sum(route.ready(()) for route in self._routes)

    def set_routes(self, routes: Mapping[Client, frozenset[int]]) -> None:
        """Replace the routes and wake those who wait for one."""
        self._routes = tuple(
            Route(client=client, instance_ids=ids) for client, ids in routes.items()
        )
        self._changed.set()
        self._changed = asyncio.Event()

    def pick(self, without: Collection[int]) -> Route | None:
        """Return a route that has an instance other than those *without*, or None.

        Several endpoints may serve one model; they take turns.
        """
        routes = self._routes
        self._turn += 1
        for offset in range(len(routes)):
            route = routes[(self._turn + offset) % len(routes)]
            if route.ready(without):
                return route
        return None

    async def wait_changed(self, *, timeout: float) -> None:
        """Return when the routes change, or after *timeout* seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._changed.wait()
        except TimeoutError:
            return
