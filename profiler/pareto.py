"""Throughput per GPU against speed for one user: what a batch buys, at every parallelism."""

from collections.abc import Iterable
from dataclasses import dataclass

from planner.core.profile import EngineProfile, Parallelism

_BATCHES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One batch of one parallelism while it decodes, in tokens a second."""

    parallelism: Parallelism
    batch: int
    itl_seconds: float
    per_gpu: float
    per_user: float


def operations(entries: Iterable[EngineProfile], *, context_tokens: float) -> tuple[Operation, ...]:
    """Return what every parallelism does at batches from one to all that fit."""
    return tuple(found for entry in entries for found in _of(entry, context_tokens))


def _of(entry: EngineProfile, context_tokens: float) -> Iterable[Operation]:
    most = entry.engine.batch_limit(context_tokens)
    if not most:
        return
    batches = {round(most ** (step / _BATCHES)) for step in range(_BATCHES + 1)}
    for batch in sorted(batches):
        seconds = entry.engine.decode.step_seconds(batch, batch * context_tokens)
        yield Operation(
            parallelism=entry.parallelism,
            batch=batch,
            itl_seconds=seconds,
            per_gpu=batch / seconds / entry.parallelism.gpus,
            per_user=1 / seconds,
        )
