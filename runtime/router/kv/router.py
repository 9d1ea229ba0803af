"""The instance where a prompt costs least: what is cached there, and what it has in hand."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from runtime.instance import InstanceRecord
from runtime.kv_events.blocks import block_hashes
from runtime.kv_events.messages import KvNews
from runtime.router.kv.cost import KvSettings, Offer, choose_offer, cost
from runtime.router.kv.index import PrefixIndex
from runtime.router.kv.known import KnownCaches
from runtime.router.kv.load import Load
from runtime.router.kv.recent import RecentBlocks
from runtime.router.least_loaded import LeastLoaded

BLOCK_SIZE = 16
"""In which prompts are remembered for workers that do not tell their own size."""


@dataclass(slots=True, kw_only=True, eq=False)
class KvPlacement:
    """One request on one worker, in its load until `end`."""

    record: InstanceRecord
    cached_tokens: int
    blocks: Sequence[int]
    is_loose: bool
    prefill_tokens: int
    load: Load
    left: Callable[[], None]
    is_over: bool = field(default=False, init=False)

    def started(self) -> None:
        """Take note of its first token: the prompt is computed."""
        if not self.is_over:
            self.load.prefill_tokens -= self.prefill_tokens
            self.prefill_tokens = 0

    def end(self) -> None:
        """Take it out of the worker's load; twice is fine."""
        if not self.is_over:
            self.is_over = True
            self.load.remove(
                self.blocks, is_loose=self.is_loose, prefill_tokens=self.prefill_tokens
            )
            self.left()


class KvRouter:
    """Weighs the tokens to compute and the KV cache in use; the lowest sum wins.

    Caches are known from what workers tell (`take`). Of those that tell nothing, what was sent
    there lately counts as cached.
    """

    def __init__(
        self,
        settings: KvSettings,
        rng: Random,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._rng = rng
        self._clock = clock
        self._index = PrefixIndex()
        self._known = KnownCaches(self._index)
        self._recent = RecentBlocks(self._index)
        self._block_sizes: dict[int, int] = {}
        self._loads: dict[int, Load] = {}
        self._idlest = LeastLoaded(rng)

    @property
    def loads(self) -> Mapping[int, Load]:
        """Return what each worker that has something in hand has."""
        return self._loads

    def cached_blocks(self, worker: int) -> int:
        """Return how many blocks *worker* is known or thought to have."""
        return self._index.size(worker)

    def choose(
        self, candidates: Sequence[InstanceRecord], in_flight: Mapping[int, int]
    ) -> InstanceRecord:
        """Return one of the idlest, for a request without a prompt."""
        return self._idlest.choose(candidates, in_flight)

    def place(self, candidates: Sequence[InstanceRecord], token_ids: Sequence[int]) -> KvPlacement:
        """Return where a prompt of *token_ids* goes, already in the load of that worker."""
        now = self._clock()
        self._recent.expire(now=now)
        prompts = _Prompts(token_ids)
        cached = self._cached(candidates, prompts)
        offers = [self._offer(one.instance_id, prompts, cached) for one in candidates]
        chosen = choose_offer(offers, temperature=self._settings.temperature, rng=self._rng)
        worker = chosen.instance_id
        record = next(one for one in candidates if one.instance_id == worker)
        blocks = prompts.blocks(self._block_size(worker))
        if not self._known.tells(worker):
            self._recent.sent(worker, blocks, now=now)
        return self._take_in(record, prompts, blocks, cached_tokens=cached.get(worker, 0))

    def take(self, news: KvNews) -> bool:
        """Follow what a worker tells; returns False while it should be asked for everything."""
        if not self._known.tells(news.instance_id):
            self._recent.forget(news.instance_id)
        self._block_sizes[news.instance_id] = news.block_size
        return self._known.take(news)

    def forget(self, worker: int) -> None:
        """Forget the cache of *worker*, which is gone; its load ends with its requests."""
        self._recent.forget(worker)
        self._known.forget(worker)
        self._block_sizes.pop(worker, None)

    def _block_size(self, worker: int) -> int:
        return self._block_sizes.get(worker) or BLOCK_SIZE

    def _cached(
        self, candidates: Sequence[InstanceRecord], prompts: "_Prompts"
    ) -> Mapping[int, int]:
        """Return the tokens at the beginning of the prompt that workers have."""
        sizes = {self._block_size(one.instance_id) for one in candidates}
        return {
            worker: count * size
            for size in sizes
            for worker, count in self._index.match(prompts.blocks(size)).items()
        }

    def _offer(self, worker: int, prompts: "_Prompts", cached: Mapping[int, int]) -> Offer:
        size = self._block_size(worker)
        blocks = prompts.blocks(size)
        fresh = -(-prompts.length // size)
        waiting = used = 0
        load = self._loads.get(worker)
        if load is not None:
            waiting, used = load.prefill_tokens, load.blocks
            fresh -= load.shared(blocks)
        return Offer(
            instance_id=worker,
            known_blocks=self._index.size(worker),
            cost=cost(
                self._settings,
                prefill_tokens=waiting + prompts.length - cached.get(worker, 0),
                blocks=used + fresh,
                block_size=size,
            ),
        )

    def _take_in(
        self,
        record: InstanceRecord,
        prompts: "_Prompts",
        blocks: Sequence[int],
        *,
        cached_tokens: int,
    ) -> KvPlacement:
        worker = record.instance_id
        load = self._loads.setdefault(worker, Load())
        placement = KvPlacement(
            record=record,
            cached_tokens=cached_tokens,
            blocks=blocks,
            is_loose=prompts.length % self._block_size(worker) > 0,
            prefill_tokens=prompts.length - cached_tokens,
            load=load,
            left=lambda: self._leave(worker),
        )
        load.add(blocks, is_loose=placement.is_loose, prefill_tokens=placement.prefill_tokens)
        return placement

    def _leave(self, worker: int) -> None:
        if self._loads[worker].is_idle:
            del self._loads[worker]


class _Prompts:
    """The names of one prompt's blocks, by the size of the blocks."""

    def __init__(self, token_ids: Sequence[int]) -> None:
        self.length = len(token_ids)
        self._token_ids = token_ids
        self._blocks: dict[int, tuple[int, ...]] = {}

    def blocks(self, size: int) -> tuple[int, ...]:
        found = self._blocks.get(size)
        if found is None:
            found = self._blocks[size] = block_hashes(self._token_ids, size)
        return found
