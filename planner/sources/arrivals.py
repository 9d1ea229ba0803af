"""When requests arrived, out of the frontends' bins: GET /arrivals of each.

Bins lie on the wall clock of the machine that counts them, and those of several frontends are
added where they have the same number, so the sums are as exact as these clocks agree.
"""

import logging
from collections.abc import Collection, Sequence
from typing import Annotated
from urllib.parse import urlencode

import msgspec
from msgspec import Meta

from planner.core.observation import Arrivals

log = logging.getLogger(__name__)

CLOCKS_DIFFER_SECONDS = 2.0
"""Frontends whose clocks, or answers, lie further apart than this cannot be added up."""

_Count = Annotated[int, Meta(ge=0)]


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One frontend's bins, oldest first. *end* is when the last one was over, since the epoch."""

    bin_seconds: Annotated[float, Meta(ge=0.01)]
    end: Annotated[float, Meta(ge=0, le=1e12)]
    counts: Sequence[_Count]
    isl: Sequence[_Count]
    isl_squared: Sequence[_Count]

    def __post_init__(self) -> None:
        """Raise ValueError when a bin lacks one of its sums."""
        if not len(self.counts) == len(self.isl) == len(self.isl_squared):
            raise ValueError("bins of different numbers")

    @property
    def stop(self) -> int:
        """The number of the first bin after the last one, counted from the epoch."""
        return round(self.end / self.bin_seconds)

    @property
    def start(self) -> int:
        """The number of the first bin."""
        return self.stop - len(self.counts)


_decode = msgspec.json.Decoder(Reply).decode


def reply(text: str) -> Reply | None:
    """Return the reply that a frontend gave; None if that is none."""
    try:
        return _decode(text)
    except msgspec.DecodeError:
        return None


class ArrivalsReader:
    """Remembers where the last look ended, so that the next one gets exactly what came since.

    *model* restricts the bins to one model.
    """

    def __init__(self, *, model: str | None = None) -> None:
        self._model = model
        self._end: float | None = None

    def url(self, frontend: str) -> str:
        """Return where the *frontend* with this base URL tells what came since the last look."""
        asked: dict[str, str] = {} if self._end is None else {"since": repr(self._end)}
        if self._model is not None:
            asked["model"] = self._model
        query = f"?{urlencode(asked)}" if asked else ""
        return f"{frontend.rstrip('/')}/arrivals{query}"

    def since_last(self, replies: Collection[Reply | None]) -> Arrivals | None:
        """Return the bins since the last look that all *replies* have; None at the first look.

        One missing reply makes them unknown, and the next look covers the gap as far as the
        frontends remember. The last bin is the last that is over for all of them.
        """
        known = [one for one in replies if one is not None]
        if not known or len(known) < len(replies) or not _agree(known):
            return None
        before, size = self._end, known[0].bin_seconds
        stop = min(one.stop for one in known)
        self._end = stop * size
        if before is None:
            return None
        start = max(round(before / size), *(one.start for one in known))
        return _summed(known, range(min(start, stop), stop))


def _agree(replies: Sequence[Reply]) -> bool:
    ends = [one.end for one in replies]
    apart = max(ends) - min(ends)
    if apart > CLOCKS_DIFFER_SECONDS:
        log.debug("clocks of frontends differ seconds=%.1f", apart)
    same_size = len({one.bin_seconds for one in replies}) == 1
    return same_size and apart <= CLOCKS_DIFFER_SECONDS


def _summed(replies: Sequence[Reply], numbers: range) -> Arrivals:
    def summed(columns: Sequence[Sequence[int]]) -> tuple[int, ...]:
        parts = [
            column[numbers.start - one.start : numbers.stop - one.start]
            for one, column in zip(replies, columns, strict=True)
        ]
        return tuple(map(sum, zip(*parts, strict=True)))

    return Arrivals(
        bin_seconds=replies[0].bin_seconds,
        counts=summed([one.counts for one in replies]),
        isl=summed([one.isl for one in replies]),
        isl_squared=summed([one.isl_squared for one in replies]),
    )
