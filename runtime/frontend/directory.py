"""The models of a namespace, followed in the store as workers offer and withdraw them."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import msgspec

from runtime.client import Client
from runtime.errors import InvalidRequest
from runtime.frontend.model import ServedModel
from runtime.frontend.tokenizer import ModelFolderError, load_folder
from runtime.instance import checked_name
from runtime.models import ModelEntry, decode_entry, instance_of, models_prefix
from runtime.ports import Watch
from runtime.router.kv.cost import KvSettings
from runtime.router.strategy import StrategyName
from runtime.runtime import DistributedRuntime

log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0

Offers = dict[int, ModelEntry]
"""Who offers one model: instance id to entry."""


class ModelDirectory:
    """Loads the tokenizer of each model that is offered, and keeps one client per endpoint.

    A model whose last worker has left stays known for *grace* seconds: requests wait for the next
    worker instead of being told that there is no such model. *appeared* is called with the name of
    each model that is added.
    """

    def __init__(
        self,
        runtime: DistributedRuntime,
        *,
        strategy: StrategyName = "least_loaded",
        kv: KvSettings | None = None,
        grace: float = 60.0,
        appeared: Callable[[str], object],
    ) -> None:
        self._runtime = runtime
        self._strategy: StrategyName = strategy
        self._kv = kv
        self._grace = grace
        self._appeared = appeared
        self._models: dict[str, ServedModel] = {}
        self._clients: dict[tuple[str, str], Client] = {}
        self._refused: dict[str, object] = {}
        self._watch: Watch | None = None
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take over what is offered now, and follow it from here on. Raises StoreUnavailable."""
        self._watch = await self._runtime.store.watch(models_prefix(self._runtime.config.namespace))
        await self._apply(self._watch.entries)
        self._following = asyncio.create_task(self._follow(self._watch))

    async def close(self) -> None:
        """Follow no more; the clients go with the runtime."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        if self._watch is not None:
            await self._watch.close()

    def find(self, name: str) -> ServedModel | None:
        """Return the model *name*, or None when nobody offers it."""
        model = self._models.get(name)
        return model if model is not None and self._is_known(model) else None

    def models(self) -> Sequence[ServedModel]:
        """Return every model, by name."""
        known = [model for model in self._models.values() if self._is_known(model)]
        return sorted(known, key=lambda model: model.card.name)

    def _is_known(self, model: ServedModel) -> bool:
        left_at = model.left_at
        return left_at is None or asyncio.get_running_loop().time() - left_at < self._grace

    async def _follow(self, watch: Watch) -> None:
        async for _ in watch.changes():
            while not await self._is_applied(watch.entries):  # noqa: ASYNC110 - a back-off
                await asyncio.sleep(_RETRY_SECONDS)

    async def _is_applied(self, entries: Mapping[str, bytes]) -> bool:
        try:
            await self._apply(entries)
        except Exception:
            log.exception("models not updated")
            return False
        return True

    async def _apply(self, entries: Mapping[str, bytes]) -> None:
        offers = self._decode(entries)
        for name, offered in offers.items():
            await self._serve(name, offered)
        for name in self._models.keys() - offers.keys():
            self._withdraw(self._models[name])
        self._models = {name: m for name, m in self._models.items() if self._is_known(m)}

    def _decode(self, entries: Mapping[str, bytes]) -> dict[str, Offers]:
        offers: dict[str, Offers] = defaultdict(dict)
        for key in sorted(entries):
            try:
                entry = decode_entry(entries[key])
                checked_name("component", entry.component)
                checked_name("endpoint", entry.endpoint)
                instance_id = instance_of(key)
            except (msgspec.MsgspecError, ValueError, InvalidRequest) as error:
                self._refuse(key, entries[key], reason=str(error))
            else:
                offers[entry.name][instance_id] = entry
        return offers

    async def _serve(self, name: str, offered: Offers) -> None:
        model = self._models.get(name)
        if model is None or all(o.checksum != model.card.checksum for o in offered.values()):
            model = await self._load_model(next(iter(offered.values())))
            if model is None:
                return
        alike = {who: o for who, o in offered.items() if o.checksum == model.card.checksum}
        for stranger in offered.keys() - alike.keys():
            self._refuse(
                f"{name}:{stranger:x}",
                offered[stranger].checksum,
                reason=f"its tokenizer is not the one in use, checksum {model.card.checksum}",
            )
        model.left_at = None
        model.extras = frozenset.intersection(*(frozenset(o.extras) for o in alike.values()))
        model.set_routes(await self._routes(alike))
        self._models[name] = model

    async def _load_model(self, entry: ModelEntry) -> ServedModel | None:
        try:
            tokenizer = await asyncio.to_thread(load_folder, entry.path)
        except ModelFolderError as error:
            self._refuse(entry.name, entry.path, reason=str(error))
            return None
        self._appeared(entry.name)
        log.info("model added name=%s context_length=%d", entry.name, entry.context_length)
        return ServedModel(entry, tokenizer, created=int(time.time()))

    async def _routes(self, offered: Offers) -> dict[Client, frozenset[int]]:
        by_endpoint: dict[tuple[str, str], set[int]] = defaultdict(set)
        for instance_id, entry in offered.items():
            by_endpoint[entry.component, entry.endpoint].add(instance_id)
        return {
            await self._client(component, endpoint): frozenset(ids)
            for (component, endpoint), ids in by_endpoint.items()
        }

    async def _client(self, component: str, endpoint: str) -> Client:
        client = self._clients.get((component, endpoint))
        if client is None:
            found = self._runtime.endpoint(component, endpoint)
            client = await found.client(self._strategy, kv=self._kv)
            self._clients[component, endpoint] = client
        return client

    def _withdraw(self, model: ServedModel) -> None:
        if model.left_at is None:
            model.left_at = asyncio.get_running_loop().time()
            model.set_routes({})
            log.info("model without workers name=%s", model.card.name)

    def _refuse(self, what: str, value: object, *, reason: str) -> None:
        """Say once what is not used and why."""
        if self._refused.get(what) != value:
            self._refused[what] = value
            log.warning("model record not used record=%s reason=%s", what, reason)
