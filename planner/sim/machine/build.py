"""Builds the tables of a simulated deployment, and makes them larger as it grows."""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from planner.core.engine import EngineModel
from planner.sim.machine.compiled import IS_COMPILED
from planner.sim.machine.prefix import BLOCK_TOKENS
from planner.sim.machine.records import (
    LINE,
    NOBODY,
    QUEUES,
    Cached,
    Clock,
    Engine,
    Pool,
    Queue,
    Request,
    Seat,
    Table,
    Transfer,
    World,
)
from planner.sim.machine.tables import fields_of, numbers, table
from planner.traces import Trace

_ENGINES = 16
"""Rows to begin with; each time they do not suffice there are twice as many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How many rows one engine has in the tables that engines share."""

    seats: int
    phases: int
    cache: int
    buckets: int


def build(trace: Trace, clock: Clock, sizes: Sizes) -> World:
    """Return a deployment without engines that *trace* has yet to reach.

    The fields of *clock* are its rules; those that tell sizes are set here.
    """
    clock.requests = len(trace)
    clock.seats, clock.phases = sizes.seats, sizes.phases
    clock.cache_size, clock.cache_buckets = sizes.cache, sizes.buckets
    blocks, blocks_from = _blocks(trace) if sizes.cache else (numbers(0), numbers(1, 0))
    return World(
        clock=_row_of(clock),
        pools=table(Pool, 2),
        engines=table(Engine, _ENGINES),
        requests=_requests(trace),
        queues=table(Queue, LINE + QUEUES * _ENGINES),
        seats=table(Seat, _ENGINES * sizes.seats),
        transfers=table(Transfer, 2 * clock.most_transfers),
        agenda=numbers(_ENGINES),
        serving=numbers(2 * _ENGINES),
        phases=numbers(_ENGINES * sizes.phases, 0),
        blocks=blocks,
        blocks_from=blocks_from,
        cache=table(Cached, _ENGINES * sizes.cache),
        buckets=numbers(_ENGINES * sizes.buckets),
    )


def with_more_engines(world: World) -> World:
    """Return *world* with room for twice as many engines; whose `serving` has to be set anew."""
    rows, clock = 2 * len(world.engines), fields_of(world.clock)[0]
    return world._replace(
        engines=_extended(world.engines, table(Engine, rows)),
        queues=_extended(world.queues, table(Queue, LINE + QUEUES * rows)),
        seats=_extended(world.seats, table(Seat, rows * clock.seats)),
        agenda=_extended(world.agenda, numbers(rows)),
        serving=numbers(2 * rows),
        phases=_extended(world.phases, numbers(rows * clock.phases, 0)),
        cache=_extended(world.cache, table(Cached, rows * clock.cache_size)),
        buckets=_extended(world.buckets, numbers(rows * clock.cache_buckets)),
    )


def with_more_transfers(world: World) -> World:
    """Return *world* with room for twice as many transfers."""
    larger = table(Transfer, 2 * len(world.transfers))
    return world._replace(transfers=_extended(world.transfers, larger))


def place_engine(world: World, row: int, engine: Engine) -> None:
    """Put *engine*, which has nothing in it, at *row*."""
    clock = fields_of(world.clock)[0]
    first = row * clock.cache_size
    for i in range(first, first + clock.cache_size):
        fields_of(world.cache)[i].chained = i + 1 if i + 1 < first + clock.cache_size else NOBODY
    engine.unused = first if clock.cache_size else NOBODY
    for size, rows, value in (
        (clock.phases, world.phases, 0),
        (clock.cache_buckets, world.buckets, NOBODY),
    ):
        for i in range(row * size, (row + 1) * size):
            rows[i] = value
    world.queues[LINE + QUEUES * row : LINE + QUEUES * (row + 1)] = table(Queue, QUEUES)
    world.engines[row] = _row_of(engine)[0]


def engine_of(pool: int, model: EngineModel, factors: Any) -> Engine:
    """Return an engine as *model* says, each coefficient times one of six *factors*."""
    laws, limits = (model.prefill, model.decode), model.limits
    return Engine(
        pool=pool,
        prefill_base=laws[0].base_seconds * factors[0],
        prefill_token=laws[0].token_seconds * factors[1],
        prefill_token_squared=laws[0].token_squared_seconds * factors[2],
        decode_base=laws[1].base_seconds * factors[3],
        decode_request=laws[1].request_seconds * factors[4],
        decode_kv_token=laws[1].kv_token_seconds * factors[5],
        transfer_token=model.transfer_seconds(1),
        budget=limits.max_num_batched_tokens,
        max_seats=limits.max_num_seqs,
        block_size=limits.block_size,
        free_blocks=model.kv_blocks,
        kv_tokens_most=model.kv_blocks * limits.block_size,
    )


def sizes_of(model: EngineModel, *, grows: bool, caches: bool) -> Sizes:
    """Return the rows that a serving engine of *model* has."""
    cache = model.limits.kv_capacity_tokens // BLOCK_TOKENS if caches else 0
    return Sizes(
        seats=model.limits.max_num_seqs,
        phases=model.limits.block_size if grows else 0,
        cache=cache,
        buckets=2 * cache + 1 if caches else 0,
    )


def _row_of(record: Any) -> Table[Any]:
    """Return a table of one row, which is *record*."""
    rows = table(type(record), 1)
    if not IS_COMPILED:
        return [record]
    for name in type(record).__slots__:
        cast("Any", rows)[name][0] = getattr(record, name)
    return rows


def _extended(old: Table[Any], new: Table[Any]) -> Table[Any]:
    new[: len(old)] = old
    return new


def _requests(trace: Trace) -> Table[Request]:
    if not IS_COMPILED:
        columns = (trace.arrival_seconds.tolist(), trace.isl.tolist(), trace.osl.tolist())
        return [
            Request(arrival=at, isl=isl, osl=osl, prompt=isl)
            for at, isl, osl in zip(*columns, strict=True)
        ]
    rows = table(Request, len(trace))
    columns_of = cast("Any", rows)
    columns_of["arrival"] = trace.arrival_seconds
    columns_of["isl"] = columns_of["prompt"] = trace.isl
    columns_of["osl"] = trace.osl
    return rows


def _blocks(trace: Trace) -> tuple[Table[int], Table[int]]:
    """Return the prefix blocks of all requests, numbered from 0, and where each one's begin."""
    ids = trace.hash_ids or ((),) * len(trace)
    ends = np.cumsum([len(row) for row in ids], dtype=np.int64)
    starts = np.concatenate([np.zeros(1, np.int64), ends])
    flat = np.fromiter((block for row in ids for block in row), np.int64, int(starts[-1]))
    _, blocks = np.unique(flat, return_inverse=True)
    columns = (blocks.astype(np.int64), starts)
    if IS_COMPILED:
        return cast("tuple[Table[int], Table[int]]", columns)
    return columns[0].tolist(), columns[1].tolist()
