"""The entries under one prefix as a live value: what every store's watch hands out."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType


class LiveEntries:
    """A snapshot that is replaced on every change, and an iterator over the replacements."""

    def __init__(self, entries: Mapping[str, bytes]) -> None:
        self._entries: Mapping[str, bytes] = MappingProxyType(dict(entries))
        self._version = 0
        self._closed = False
        self._changed = asyncio.Event()

    @property
    def entries(self) -> Mapping[str, bytes]:
        """The keys and values as last known; never changes under its reader."""
        return self._entries

    def replace(self, entries: Mapping[str, bytes]) -> None:
        """Make *entries* the current ones; equal ones are no change."""
        if entries != self._entries:
            self._entries = MappingProxyType(dict(entries))
            self._version += 1
            self._announce()

    def update(self, changes: Mapping[str, bytes | None]) -> None:
        """Apply *changes*, in which None removes a key."""
        merged: dict[str, bytes | None] = {**self._entries, **changes}
        self.replace({key: value for key, value in merged.items() if value is not None})

    def finish(self) -> None:
        """End every iterator; the entries stay readable."""
        self._closed = True
        self._announce()

    async def changes(self) -> AsyncIterator[Mapping[str, bytes]]:
        """Yield the entries at once and after every change; a burst is yielded as its result."""
        seen = -1
        while not self._closed:
            if seen == self._version:
                await self._changed.wait()
                continue
            seen = self._version
            yield self._entries

    def _announce(self) -> None:
        # One event a change: each waiting iterator wakes once, none can miss or steal a change.
        self._changed.set()
        self._changed = asyncio.Event()
