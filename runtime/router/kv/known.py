"""Follows what workers tell of their caches, and knows when something is missing."""

from dataclasses import dataclass

from runtime.kv_events.messages import Cleared, KvNews, Removed, Stored
from runtime.router.kv.index import PrefixIndex


@dataclass(slots=True)
class _Told:
    epoch: int
    number: int
    is_whole: bool = False
    """Whether all that the worker has is known."""
    is_reading: bool = False
    """Whether it is telling all of it again just now, and that is news here."""


class KnownCaches:
    """Writes what workers tell into *index*.

    Each message is true by itself. After a gap a worker's blocks are forgotten and what comes is
    noted, which is too little but not wrong, until the worker has told everything again.
    """

    def __init__(self, index: PrefixIndex) -> None:
        self._index = index
        self._told: dict[int, _Told] = {}

    def tells(self, worker: int) -> bool:
        """Return whether *worker* has told anything."""
        return worker in self._told

    def take(self, news: KvNews) -> bool:
        """Follow *news*; returns False while its worker should be asked to tell everything."""
        told = self._told.get(news.instance_id)
        if told is None or (told.epoch, told.number + 1) != (news.epoch, news.number):
            self.forget(news.instance_id)
            told = _Told(epoch=news.epoch, number=news.number)
            self._told[news.instance_id] = told
        told.number = news.number
        if not news.restated:
            told.is_reading = False
        elif news.events and isinstance(news.events[0], Cleared):
            told.is_reading = not told.is_whole
        if not news.restated or told.is_reading:
            self._apply(news, told)
        return told.is_whole

    def forget(self, worker: int) -> None:
        """Forget *worker*; one that is not known is fine."""
        self._told.pop(worker, None)
        self._index.drop(worker)

    def _apply(self, news: KvNews, told: _Told) -> None:
        worker = news.instance_id
        for event in news.events:
            match event:
                case Stored(blocks):
                    self._index.store(worker, blocks)
                case Removed(blocks):
                    self._index.remove(worker, blocks)
                case Cleared():
                    self._index.drop(worker)
                    told.is_whole = True
