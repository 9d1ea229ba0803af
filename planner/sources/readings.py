"""One server's page in planner's own terms, by the table of names of its engine."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from planner.sources.distribution import Distribution
from planner.sources.engines.names import Amounts, EngineNames, Series
from planner.sources.exposition import Page, edge_of, labels_of, name_of

_Named = Mapping[str, Sequence[tuple[str, float]]]
"""Series and values, by the name that the series have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """What a server holds at the moment; None where it does not say."""

    running: int | None
    waiting: int | None
    entering: int | None
    """Requests inside that are not yet counted as entered."""
    kv_usage: float | None
    kv_tokens: int | None
    """Its KV capacity."""

    @property
    def inside(self) -> int | None:
        """Requests inside it; None unless both parts are told."""
        if self.running is None or self.waiting is None:
            return None
        return self.running + self.waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What a server counted, since some moment or since it began; None where it does not say."""

    entered: float | None
    finished: float | None
    failed: float | None
    prompts: Distribution | None
    outputs: Distribution | None
    ttft: Distribution | None
    itl: Distribution | None
    preemptions: float | None
    cached_tokens: float | None


def gauges(page: Page, names: EngineNames) -> Gauges:
    """Return what *page* tells of the moment that it was read."""
    told = _by_name(page)
    return Gauges(
        running=_whole(_sum_of_any(told, names.running)),
        waiting=_whole(_sum_of_any(told, names.waiting)),
        entering=_whole(_sum_of_any(told, names.entering)),
        kv_usage=_mean(told, names.kv_usage),
        kv_tokens=_kv_tokens(told, names),
    )


def counted(page: Page, names: EngineNames) -> Counted:
    """Return what *page* counts; it may hold totals or increments."""
    told = _by_name(page)
    return Counted(
        entered=_sum(told, names.entered),
        finished=_sum(told, names.finished),
        failed=_sum(told, names.failed),
        prompts=_first(told, names.prompts),
        outputs=_first(told, names.outputs),
        ttft=_distribution(told, names.ttft),
        itl=_distribution(told, names.itl),
        preemptions=_sum(told, names.preemptions),
        cached_tokens=_sum(told, names.cached_tokens),
    )


def distribution(page: Page, amounts: Amounts) -> Distribution | None:
    """Return the *amounts* that *page* counts; None where it does not say."""
    return _distribution(_by_name(page), amounts)


def _by_name(page: Page) -> _Named:
    found: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for series, value in page.samples.items():
        found[name_of(series)].append((series, value))
    return found


def _values(told: _Named, series: Series) -> list[float] | None:
    """Return the values of *series*; None when no sample has its name, whatever the label."""
    found = told.get(series.name)
    if found is None:
        return None
    if series.label is None:
        return [value for _, value in found]
    wanted, label = {None, *series.values}, series.label
    return [value for text, value in found if labels_of(text).get(label) in wanted]


def _sum(told: _Named, series: Series | None) -> float | None:
    # A family that is declared without samples may belong to something that is switched off, so
    # that it is not zero.
    values = None if series is None else _values(told, series)
    return None if values is None else sum(values)


def _mean(told: _Named, series: Series) -> float | None:
    values = _values(told, series)
    return sum(values) / len(values) if values else None


def _sum_of_any(told: _Named, parts: tuple[Series, ...]) -> float | None:
    """Return the sum over those of *parts* that there are; None when the first is not."""
    sums = [_sum(told, one) for one in parts]
    return None if sums[0] is None else sum(one for one in sums if one is not None)


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _first(told: _Named, alternatives: tuple[Amounts, ...]) -> Distribution | None:
    found = (_distribution(told, one) for one in alternatives)
    return next((one for one in found if one is not None), None)


def _distribution(told: _Named, amounts: Amounts) -> Distribution | None:
    total, count = _sum(told, amounts.total), _sum(told, amounts.count)
    if total is None or count is None:
        return None
    below = {} if amounts.histogram is None else _buckets(told, f"{amounts.histogram}_bucket")
    return Distribution(total=total, count=count, below=tuple(sorted(below.items())))


def _buckets(told: _Named, name: str) -> dict[float, float]:
    below: dict[float, float] = {}
    for series, value in told.get(name, ()):
        edge = edge_of(series)
        below[edge] = below.get(edge, 0.0) + value
    return below


def _kv_tokens(told: _Named, names: EngineNames) -> int | None:
    if names.kv_tokens_label is not None:
        name, label = names.kv_tokens_label
        texts = [labels_of(series).get(label, "") for series, _ in told.get(name, ())]
        return sum(map(int, texts)) if texts and all(text.isdigit() for text in texts) else None
    if names.kv_blocks is None:
        return None
    parts = [_sum(told, names.kv_blocks)]
    if names.kv_block_tokens is not None:
        parts.append(_mean(told, names.kv_block_tokens))
    known = [part for part in parts if part is not None]
    return round(prod(known)) if len(known) == len(parts) else None
