"""What the replay consists of: tables of plain numbers, for compiled functions."""

from dataclasses import dataclass, fields
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
import numpy.typing as npt

from planner.sim.machine.compiled import IS_COMPILED

Row = TypeVar("Row")
Table = list[Row]
"""Rows by number; in truth an array of records where functions are compiled."""
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Links = npt.NDArray[np.int32]

NOBODY = -1
ABSENT, READY, CLOSING = 0, 1, 2
PREFILL, DECODE = 0, 1


@dataclass(slots=True)
class Request:
    """One request; seconds."""

    arrival: float = 0.0
    first_token: float = 0.0
    joined: float = 0.0
    """When its KV cache reached its decode replica."""
    step: int = 0
    """Of the schedule, in which it arrived."""
    isl: int = 0
    osl: int = 0
    blocks: int = 0
    """KV blocks that it takes."""
    home: int = NOBODY
    following: int = NOBODY
    """The next request in the one list that it is in."""


@dataclass(slots=True)
class Laws:
    """Step times, limits and delays; seconds and tokens."""

    prefill_base: float = 0.0
    prefill_token: float = 0.0
    prefill_token_squared: float = 0.0
    decode_base: float = 0.0
    decode_request: float = 0.0
    decode_kv_token: float = 0.0
    transfer_token: float = 0.0
    budget: int = 0
    seats: int = 0
    cold_start: float = 0.0
    interval: float = 0.0
    hands_off: float = 0.0
    patience: float = 0.0
    billed_from: float = 0.0
    ttft: float = np.inf
    itl: float = np.inf


@dataclass(slots=True)
class Prefill:
    """A prefill replica, by its place in the fleet."""

    state: int = ABSENT
    asked: float = 0.0
    number: int = 0
    """In the order of serving: the oldest is the first to be given work, the last to go."""
    in_flight: int = 0
    complete: int = NOBODY
    """First of those that its step completes."""
    partial: int = NOBODY
    offset: int = 0
    """Tokens of the partial prompt that earlier steps computed."""


@dataclass(slots=True)
class Decode:
    """A decode replica, by its place in the fleet."""

    state: int = ABSENT
    asked: float = 0.0
    number: int = 0
    in_step: bool = False
    batch: int = 0
    kv_tokens: int = 0
    steps: int = 0
    free: int = 0
    in_flight: int = 0
    arrived: int = NOBODY
    """First of those whose KV cache is here or on its way."""
    line_first: int = NOBODY
    line_last: int = NOBODY
    """Those that wait for memory."""


@dataclass(slots=True)
class Shared:
    """The prefill queue, and by role the ring of starting replicas and the bill."""

    queue_first: int = NOBODY
    queue_last: int = NOBODY
    prefills: int = 0
    decodes: int = 0
    """Places ever used: none further up is."""
    ready: int = 0
    """Replicas that ever began to serve."""


class World(NamedTuple):
    """Everything that a replay reads and changes."""

    shared: Table[Shared]
    laws: Table[Laws]
    requests: Table[Request]
    prefills: Table[Prefill]
    decodes: Table[Decode]
    prefill_until: Floats
    """End of the step under way; inf when idle."""
    decode_until: Floats
    """End of the step under way, or when there will be something to do."""
    ends: Links
    """By place and step, as a ring: first of the requests whose last token that step brings."""
    starting: Floats
    """By role, when each starting replica was asked for: a ring, oldest first."""
    starts: Ints
    """By role, the first in that ring and how many."""
    billed: Floats
    """By step of the schedule and role, replica-seconds."""
    kept: Ints
    """By step of the schedule, requests that arrived in it and met the SLA."""


_FORMATS: dict[Any, str] = {int: "i8", float: "f8", bool: "?"}


def table(row: type[Row], rows: int) -> Any:
    """Return *rows* new rows of a record class, each with its defaults."""
    if not IS_COMPILED:
        return [row() for _ in range(rows)]
    columns = fields(cast("Any", row))
    layout = [(column.name, _FORMATS[column.type]) for column in columns]
    array = np.empty(rows, dtype=np.dtype(layout, align=True))
    for column in columns:
        array[column.name] = column.default
    return array
