"""What a simulated deployment consists of: records of plain numbers, in tables.

A table is a numpy array of records where functions are compiled and a list of objects where they
are not; both read ``table[i].field``. Requests, engines and queues name each other by their row.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np

Row = TypeVar("Row")
Table = list[Row]
"""Rows by number; in truth an array of records where functions are compiled."""

NOBODY = -1
"""In place of a row: of a request, an engine or a place."""
LOST = -2
"""In place of the engine of a request whose engine has just died."""
NEVER = np.nan
"""The moment of what has not happened."""
PREFILL_POOL, SERVING_POOL = 0, 1
"""Serving engines are decode ones, or aggregated."""
PREFILL_QUEUE, HOMELESS = 0, 1
"""Queues of the deployment: prompts to be prefilled elsewhere; requests without any engine."""
LINE, ARRIVED, JOINED, COMPLETE = 2, 3, 4, 5
"""Queues of an engine, `QUEUES` times its row further on: who waits for memory, whose KV cache has
come, who takes its first step, whose prompt the step under way completes."""
QUEUES = 4


def _short(value: int) -> Any:
    """Return a field of four bytes: there are millions of them."""
    return field(default=value, metadata={"format": "i4"})


@dataclass(slots=True)
class Request:
    """One request. `prompt` is what has to be in the KV cache before it goes on decoding."""

    arrival: float = 0.0
    first: float = NEVER
    finish: float = NEVER
    isl: int = _short(0)
    osl: int = _short(0)
    prompt: int = _short(0)
    computed: int = _short(0)
    """Tokens of the prompt that are, or are being, computed where it is."""
    cached: int = _short(0)
    """Tokens of the prompt that were in the cache of its engine."""
    following: int = NOBODY
    """The next in the one queue that it is in."""
    home: int = NOBODY
    """The serving engine that has it."""
    is_remote: bool = False
    """Whether its prompt is to be prefilled elsewhere."""


@dataclass(slots=True)
class Queue:
    """Requests in a line, linked by `Request.following`."""

    head: int = NOBODY
    tail: int = NOBODY
    length: int = 0


@dataclass(slots=True)
class Seat:
    """A decoding request and the step of its engine with which it has all its tokens."""

    end: int = 0
    request: int = NOBODY
    joined: int = 0


@dataclass(slots=True)
class Transfer:
    """A KV cache on its way to the engine that waits for it."""

    due: float = 0.0
    number: int = 0
    request: int = NOBODY


@dataclass(slots=True)
class Engine:
    """One engine: its laws and limits, what is in it, and the run of steps under way."""

    pool: int = 0
    prefill_base: float = 0.0
    prefill_token: float = 0.0
    prefill_token_squared: float = 0.0
    decode_base: float = 0.0
    decode_request: float = 0.0
    decode_kv_token: float = 0.0
    transfer_token: float = 0.0
    """Seconds that a token's KV cache travels."""
    budget: int = 0
    max_seats: int = 0
    block_size: int = 1
    kv_tokens_most: int = 0

    is_closing: bool = False
    """It drains: it takes nothing new."""
    in_flight: int = 0
    free_blocks: int = 0
    held_tokens: int = 0
    """Tokens in its KV cache, those of the run under way as far as `counted`."""
    line_tokens: int = 0
    """Prompt tokens of its line that are to be computed here."""
    complete_tokens: int = 0
    partial: int = NOBODY
    """The prompt that is begun and goes on in the next step."""

    batch: int = 0
    """Decoding requests."""
    batch_kv_tokens: int = 0
    """Tokens that their next step reads."""
    steps_done: int = 0
    joined: int = 0
    """Requests that ever took a seat."""

    began: float = 0.0
    steps: int = 0
    """Of the run under way; 0 when idle."""
    counted: int = 0
    """Steps of that run which the sums have."""
    grown: int = 0
    """Steps of that run which have their memory, where requests take it as they grow."""
    chunk_seconds: float = 0.0
    """What the prompts add to its one step."""
    mixed_seconds: float = 0.0
    """All of that step."""
    chunks: int = 0
    chunk_tokens: int = 0
    chunk_tokens_squared: int = 0
    ends_at: float = 0.0
    number: int = 0
    place: int = NOBODY
    """In the agenda."""

    cached: int = 0
    """Prefix blocks in its cache; `unused` heads the rows for more."""
    unused: int = NOBODY
    newest: int = NOBODY
    oldest: int = NOBODY


@dataclass(slots=True)
class Pool:
    """The engines of one role, and what all of them have computed since the last look."""

    serving: int = 0
    """Engines that take new requests: rows in `World.serving`, oldest first."""
    idle: int = 0
    """Of the prefill engines: those without a step."""

    seconds: float = 0.0
    steps: int = 0
    prefill_steps: int = 0
    decoded: int = 0
    kv_tokens: int = 0
    prefilled: int = 0
    prefilled_squared: int = 0

    waiting: int = 0
    waiting_tokens: int = 0
    running: int = 0
    kv_usage: float = 0.0


@dataclass(slots=True)
class Clock:
    """The moment, who comes next, the rules of the deployment, and what its frontends counted."""

    now: float = 0.0
    number: int = 0
    """Of the last thing that was scheduled: equal times are taken in this order."""
    requests: int = 0
    arrived: int = 0
    arrival_number: int = 0
    agenda: int = 0
    transfers: int = 0
    retired: int = NOBODY
    """The engine that has just finished draining."""
    in_flight: int = 0
    rejected: int = 0
    retried: int = 0
    preempted: int = 0

    router: int = 0
    turn: int = 0
    draw: int = 1
    max_local_tokens: int = 0
    max_queue: int = -1
    """Prompts elsewhere at which no more are sent away; negative for any number."""
    is_aggregated: bool = False
    kv_tokens_most: int = 0
    """The longest request that fits into a serving engine."""
    grows: bool = False
    """Whether requests take memory as they grow, and are preempted when there is none."""
    seats: int = 1
    """Rows of `World.seats` for each engine; `cache_size` of its cache, `phases` of its phases."""
    phases: int = 0
    cache_size: int = 0
    cache_buckets: int = 0
    most_transfers: int = 1
    """That one event can begin."""

    ttft: float = np.inf
    itl: float = np.inf
    finished: int = 0
    failed: int = 0
    within_sla: int = 0
    osl_sum: float = 0.0
    context_osl_sum: float = 0.0
    ttft_sum: float = 0.0
    ttft_count: int = 0
    itl_sum: float = 0.0
    itl_count: int = 0


@dataclass(slots=True)
class Cached:
    """A block of prompt tokens in an engine's cache, in a list by use and in a chain by hash."""

    block: int = 0
    newer: int = NOBODY
    older: int = NOBODY
    chained: int = NOBODY


class World(NamedTuple):
    """Everything that `turn` reads and changes."""

    clock: Table[Clock]
    pools: Table[Pool]
    engines: Table[Engine]
    requests: Table[Request]
    queues: Table[Queue]
    seats: Table[Seat]
    transfers: Table[Transfer]
    agenda: Table[int]
    """Engines in a heap by the end of their run."""
    serving: Table[int]
    """First those of the prefill pool, then as many places for those of the serving pool."""
    phases: Table[int]
    """Of each engine, how many decoding requests take a new block at which step."""
    blocks: Table[int]
    """The prefix blocks of all requests, one after the other."""
    blocks_from: Table[int]
    """Where those of each request begin; one row more than requests."""
    cache: Table[Cached]
    buckets: Table[int]
