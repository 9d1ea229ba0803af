"""The limits as they are in the store at this moment, followed while the worker runs."""

import asyncio
import logging
from typing import Self

from runtime.ports import Store, Watch
from workers.disaggregation.decision import Limits, parse_limits, settings_key

log = logging.getLogger(__name__)


class LimitsWatch:
    """Holds the limits that apply. A bad value is refused and the last good one stays."""

    def __init__(self, watch: Watch, *, key: str, defaults: Limits) -> None:
        self.current = defaults
        self._watch = watch
        self._key = key
        self._defaults = defaults
        self._seen: bytes | None = None
        self._task = asyncio.create_task(self._follow(), name="disaggregation limits")

    @classmethod
    async def start(cls, store: Store, namespace: str, *, defaults: Limits) -> Self:
        """Return a watch on the limits of *namespace*; without a key the *defaults* apply."""
        key = settings_key(namespace)
        watch = await store.watch(key)
        made = cls(watch, key=key, defaults=defaults)
        made.take(watch.entries.get(key))
        return made

    def take(self, value: bytes | None) -> None:
        """Apply *value* as it stands in the store; None is a key that is not there."""
        if value == self._seen:
            return
        self._seen = value
        try:
            self.current = self._defaults if value is None else parse_limits(value, self._defaults)
        except ValueError as error:
            log.warning("disaggregation limits refused key=%s reason=%s", self._key, error)
            return
        log.info(
            "disaggregation limits max_local_prefill_length=%d max_prefill_queue_size=%d",
            self.current.max_local_prefill_length,
            self.current.max_prefill_queue_size,
        )

    async def close(self) -> None:
        """Stop following."""
        await self._watch.close()
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _follow(self) -> None:
        async for entries in self._watch.changes():
            self.take(entries.get(self._key))
