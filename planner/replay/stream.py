"""Reads one streamed answer after the fact: pieces of text and the moments they came.

While tokens arrive nothing is parsed, which keeps the load generator off the machine's CPU; here
the first token, the last one and the server's own count are found in the finished answer.
"""

import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

Piece = tuple[float, bytes]
"""When some bytes came, in seconds, and the bytes."""
Event = Mapping[str, Any]

_OPENS = b"\ndata: "
_DONE = b"data: [DONE]"


class BadStream(Exception):
    """The answer is not a whole one; the message says what is wrong in a few words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """First and last token (seconds, on the clock of the pieces) and how many came."""

    first: float
    last: float
    tokens: int

    @property
    def mean_itl(self) -> float | None:
        """Return the mean time between tokens in seconds; None for a single one."""
        return (self.last - self.first) / (self.tokens - 1) if self.tokens > 1 else None


def answer(pieces: Sequence[Piece]) -> Answer:
    """Return what *pieces* say; raises BadStream when they are no complete answer.

    The server's count of tokens is taken where it sent one. Events would undercount: a token that
    ends inside a character has none of its own.
    """
    body = b"\n" + b"".join(data for _, data in pieces)
    # The last event with a token, and what comes after it: usage, or an error.
    last, closing = _last_token(body)
    for event in closing:
        if "error" in event:
            raise BadStream(_message(event["error"]))
    if not body.rstrip().endswith(_DONE):
        raise BadStream("the stream broke off")
    first = next((end for end, event in _events(body) if _has_token(event)), None)
    if first is None or last is None:
        raise BadStream("the stream ended without a token")
    usage = next((event["usage"] for event in closing if event.get("usage")), None)
    return Answer(
        first=_moment(pieces, first),
        last=_moment(pieces, last),
        tokens=int(usage["completion_tokens"]) if usage else _count(body),
    )


def _last_token(body: bytes) -> tuple[int | None, list[Event]]:
    closing: list[Event] = []
    start = body.rfind(_OPENS)
    while start >= 0:
        end, event = _event(body, start)
        closing.append(event)
        if _has_token(event):
            return end, closing
        start = body.rfind(_OPENS, 0, start)
    return None, closing


def _events(body: bytes) -> Iterator[tuple[int, Event]]:
    start = body.find(_OPENS)
    while start >= 0:
        end, event = _event(body, start)
        yield end, event
        start = body.find(_OPENS, end)


def _event(body: bytes, start: int) -> tuple[int, Event]:
    """Return where the event at *start* ends, and the event; an empty one if it is no object."""
    start += len(_OPENS)
    end = body.find(b"\n", start)
    end = len(body) if end < 0 else end
    try:
        event = json.loads(body[start:end])
    except ValueError:
        return end, {}
    return end, event if isinstance(event, dict) else {}


def _has_token(event: Event) -> bool:
    # A closing event has a reason and no text; an empty text alone is a token without a character.
    return any(
        choice.get("text") or choice.get("finish_reason") is None
        for choice in event.get("choices") or ()
    )


def _count(body: bytes) -> int:
    return sum(1 for _, event in _events(body) if _has_token(event))


def _moment(pieces: Sequence[Piece], end: int) -> float:
    """Return when the byte before *end* came; the body has one byte in front of the pieces."""
    ends = list(accumulate(len(data) for _, data in pieces))
    return pieces[min(bisect_left(ends, end - 1), len(pieces) - 1)][0]


def _message(error: object) -> str:
    return str(error.get("message", error)) if isinstance(error, dict) else str(error)
