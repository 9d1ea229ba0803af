"""What an inference server that planner did not start calls the things that planner asks about.

One file a server holds its names; whatever a server does not tell is left empty there, and is
unknown wherever it is asked for.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class EngineKind(StrEnum):
    """The servers whose metrics can be read."""

    VLLM = "vllm"
    SGLANG = "sglang"
    TENSORRT_LLM = "tensorrt_llm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The samples *name* whose *label*, if they have it, holds one of *values*."""

    name: str
    label: str | None = None
    values: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """Amounts of which a server keeps the sum and the number, as a histogram or as two counters."""

    total: Series
    count: Series
    histogram: str | None = None
    """The family whose buckets tell how they are spread."""


def histogram(name: str) -> Amounts:
    """Return the amounts in the histogram *name*."""
    return Amounts(
        total=Series(name=f"{name}_sum"), count=Series(name=f"{name}_count"), histogram=name
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineNames:
    """The names of one server. Of alternatives the first that a page has counts.

    Times are in seconds, lengths in tokens.
    """

    kind: EngineKind
    version: str
    """What they were read from."""
    prefix: str
    """How all its families begin, and no other server's."""
    path: str
    """Where its page is."""

    entered: Series
    """Requests from some point of their way on, each of which is counted once."""
    entering: tuple[Series, ...]
    """Requests inside that have not come to that point yet."""
    finished: Series
    """Requests that got their answer."""
    failed: Series | None
    prompts: tuple[Amounts, ...]
    """Lengths of prompts."""
    outputs: tuple[Amounts, ...]
    """Lengths of answers."""
    ttft: Amounts
    itl: Amounts
    itl_is_per_request: bool
    """Whether each amount is the mean of one request; else each is one gap between tokens."""

    running: tuple[Series, ...]
    """Requests in the batch."""
    waiting: tuple[Series, ...]
    """Requests inside that are not in the batch."""
    kv_usage: Series
    """Share of KV blocks in use, 0 to 1."""
    kv_blocks: Series | None = None
    kv_block_tokens: Series | None = None
    """Tokens in one of them; 1 where blocks are counted as tokens."""
    kv_tokens_label: tuple[str, str] | None = None
    """A sample and its label that holds the capacity in tokens, in place of the two."""
    preemptions: Series | None = None
    cached_tokens: Series | None = None
    """Prompt tokens found in the prefix cache."""

    @property
    def amounts(self) -> tuple[Amounts, ...]:
        """All amounts, alternatives among them."""
        return (*self.prompts, *self.outputs, self.ttft, self.itl)

    @property
    def histograms(self) -> frozenset[str]:
        """Families whose buckets are of use."""
        return frozenset(one.histogram for one in self.amounts if one.histogram)

    @property
    def counters(self) -> frozenset[str]:
        """Names of all samples that only grow while the server lives."""
        counted = [self.entered, self.finished, self.failed, self.preemptions, self.cached_tokens]
        parts = [series for one in self.amounts for series in (one.total, one.count)]
        buckets = (f"{name}_bucket" for name in self.histograms)
        return frozenset({*_names(filter(None, counted)), *_names(parts), *buckets})

    @property
    def samples(self) -> frozenset[str]:
        """Names of all samples that are of use."""
        held = [*self.running, *self.waiting, *self.entering, self.kv_usage]
        capacity = [self.kv_blocks, self.kv_block_tokens]
        label = () if self.kv_tokens_label is None else (self.kv_tokens_label[0],)
        return self.counters | {*_names(held), *_names(filter(None, capacity)), *label}


def _names(series: Iterable[Series]) -> Iterable[str]:
    return (one.name for one in series)
