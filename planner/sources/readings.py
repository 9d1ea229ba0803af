"""One server's page in planner's own terms, by the table of names of its engine."""

from dataclasses import dataclass
from math import prod

from planner.sources.distribution import Distribution
from planner.sources.engines.names import Amounts, EngineNames, Series
from planner.sources.exposition import Page, labels_of, name_of


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
    return Gauges(
        running=_whole(_sum_of_any(page, names.running)),
        waiting=_whole(_sum_of_any(page, names.waiting)),
        entering=_whole(_sum_of_any(page, names.entering)),
        kv_usage=_mean(page, names.kv_usage),
        kv_tokens=_kv_tokens(page, names),
    )


def counted(page: Page, names: EngineNames) -> Counted:
    """Return what *page* counts; it may hold totals or increments."""
    return Counted(
        entered=_sum(page, names.entered),
        finished=_sum(page, names.finished),
        failed=_sum(page, names.failed),
        prompts=_first(page, names.prompts),
        outputs=_first(page, names.outputs),
        ttft=_distribution(page, names.ttft),
        itl=_distribution(page, names.itl),
        preemptions=_sum(page, names.preemptions),
        cached_tokens=_sum(page, names.cached_tokens),
    )


def _values(page: Page, series: Series) -> list[float] | None:
    """Return the values of *series*; None when no sample has its name, whatever the label."""
    found = [(labels_of(s), v) for s, v in page.samples.items() if name_of(s) == series.name]
    if not found:
        return None
    label = series.label
    return [v for labels, v in found if label not in labels or labels[label] in series.values]


def _sum(page: Page, series: Series | None) -> float | None:
    # A family that is declared without samples may belong to something that is switched off, so
    # that it is not zero.
    values = None if series is None else _values(page, series)
    return None if values is None else sum(values)


def _mean(page: Page, series: Series) -> float | None:
    values = _values(page, series)
    return sum(values) / len(values) if values else None


def _sum_of_any(page: Page, parts: tuple[Series, ...]) -> float | None:
    """Return the sum over those of *parts* that there are; None when the first is not."""
    sums = [_sum(page, one) for one in parts]
    return None if sums[0] is None else sum(one for one in sums if one is not None)


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _first(page: Page, alternatives: tuple[Amounts, ...]) -> Distribution | None:
    told = (_distribution(page, one) for one in alternatives)
    return next((one for one in told if one is not None), None)


def _distribution(page: Page, amounts: Amounts) -> Distribution | None:
    total, count = _sum(page, amounts.total), _sum(page, amounts.count)
    if total is None or count is None:
        return None
    below = {} if amounts.histogram is None else _buckets(page, f"{amounts.histogram}_bucket")
    return Distribution(total=total, count=count, below=tuple(sorted(below.items())))


def _buckets(page: Page, name: str) -> dict[float, float]:
    below: dict[float, float] = {}
    for series, value in page.samples.items():
        if name_of(series) == name:
            edge = float(labels_of(series).get("le", "nan"))
            below[edge] = below.get(edge, 0.0) + value
    return below


def _kv_tokens(page: Page, names: EngineNames) -> int | None:
    if names.kv_tokens_label is not None:
        name, label = names.kv_tokens_label
        texts = [labels_of(s).get(label, "") for s in page.samples if name_of(s) == name]
        return sum(map(int, texts)) if texts and all(text.isdigit() for text in texts) else None
    if names.kv_blocks is None:
        return None
    parts = [_sum(page, names.kv_blocks)]
    if names.kv_block_tokens is not None:
        parts.append(_mean(page, names.kv_block_tokens))
    known = [part for part in parts if part is not None]
    return round(prod(known)) if len(known) == len(parts) else None
