"""What the profiler needs from outside: engines that can be started and measured, one at a time.

A rig starts real engines (`planner profile` wires one), a test's rig computes what an engine of a
known law would show. The profiler itself knows neither HTTP nor processes.
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from planner.core.profile import Parallelism
from planner.errors import PlannerError


class MeasuringFailed(PlannerError):
    """An engine could not be started or a point not be measured; the sweep goes on without it."""


class Disturbed(MeasuringFailed):
    """A sample came to nothing and no engine is to blame: the same may be asked of it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """What a running engine tells of itself. None is what it does not tell."""

    start_up_seconds: float
    """From asking for it until it answered, warm-up included."""
    max_num_seqs: int
    max_num_batched_tokens: int
    block_size: int
    kv_capacity_tokens: int
    context_length: int
    """Longest prompt and output together."""
    engine_version: str
    memory_bytes: int | None = None
    """Of one GPU, in use once it answered."""
    transfer_bytes_per_second: float | None = None
    kv_bytes_per_token: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillSample:
    """One prompt alone on the engine."""

    isl: int
    """Tokens that the engine counted, none of them cached."""
    ttft_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeSample:
    """A stretch of steady decoding, by the engine's own count of its steps.

    *batch* and *kv_tokens* are means over those steps of what it achieved, which need not be what
    was asked for.
    """

    batch: float
    kv_tokens: float
    itl_seconds: float
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferSample:
    """The KV of one prompt on its way from one engine to another, by the receiver's own clock."""

    tokens: int
    bytes: int
    """To all GPUs of the engine."""
    seconds: float


class RunningEngine(Protocol):
    """One engine, ready, that serves nobody else."""

    @property
    def facts(self) -> EngineFacts:
        """What it told when it became ready."""
        ...

    async def prefill(self, isl: int) -> PrefillSample:
        """Return one measurement of a fresh prompt of *isl* tokens. Raises MeasuringFailed."""
        ...

    async def decode(self, *, concurrency: int, context: int) -> DecodeSample:
        """Return one measurement with *concurrency* requests that hold about *context* tokens each.

        Raises MeasuringFailed.
        """
        ...


class RunningPair(Protocol):
    """One engine that prefills and one that decodes, of the same parallelism, ready."""

    async def transfer(self, isl: int) -> TransferSample:
        """Return the way of a fresh prompt of *isl* tokens. Raises MeasuringFailed."""
        ...


class PairRig(Protocol):
    """Starts pairs of engines."""

    def pair(self, parallelism: Parallelism) -> AbstractAsyncContextManager[RunningPair]:
        """Start a pair on entering and end it on leaving; see `Rig.engine`."""
        ...


class Rig(Protocol):
    """Starts engines of one model on one kind of GPU."""

    @property
    def identity(self) -> dict[str, str]:
        """What measurements depend on beside the parallelism: model, GPU, engine, arguments."""
        ...

    def engine(self, parallelism: Parallelism) -> AbstractAsyncContextManager[RunningEngine]:
        """Start an engine on entering and end it, with all its processes, on leaving.

        Entering raises MeasuringFailed when it does not start in time.
        """
        ...
