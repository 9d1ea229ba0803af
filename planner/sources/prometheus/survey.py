"""What a Prometheus has of a deployment, target by target, for whoever sets the two up."""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from planner.sources import load, traffic
from planner.sources.engines import ENGINES
from planner.sources.engines.names import EngineNames
from planner.sources.engines.names import Series as Named
from planner.sources.exposition import Page, labels_of, name_of
from planner.sources.prometheus.api import PrometheusApi
from planner.sources.prometheus.processes import NAMES
from planner.sources.prometheus.promql import Scope, present, samples
from planner.sources.prometheus.targets import Target, still, targets
from planner.sources.readings import counted, gauges

_LOOKS_BACK_SECONDS = 300.0
_FRONTEND, _WORKER = "frontend", "worker"
_MODELS = ("model_name", "model")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """One target. *tells* is what it is by its series; None if none of them is of use."""

    name: str
    is_up: bool
    tells: str | None
    untold: tuple[str, ...]
    """Series that such a one should tell and this one does not."""
    models: frozenset[str]
    is_named: bool
    """Whether its series can be found by the label that it is to be known by."""
    age_seconds: float | None
    """Of its latest scrape; None if all of them failed."""
    apart_seconds: float | None
    """Time between two scrapes; None before there were two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """All targets that count, and by how much the clock of Prometheus is ahead of this one."""

    found: Sequence[Surveyed]
    ahead_seconds: float


async def survey(
    api: PrometheusApi, scope: Scope, *, of: Collection[str] | None, wall: float
) -> Survey:
    """Return what is there of *of*; without it of all targets in *scope* that tell what is read.

    *wall* is the time here. Raises MetricsUnavailable as the API does.
    """
    names = NAMES.union(*(one.samples for one in ENGINES.values()))
    asked = samples(scope, names, of=of, seconds=_LOOKS_BACK_SECONDS)
    now, (there, _), series = await asyncio.gather(
        api.now(), api.instant(present(scope, of=of)), api.samples(asked)
    )
    found = [_surveyed(one, scope, now) for one in still(targets(series), there)]
    is_narrow = of is not None or bool(scope.labels)
    return Survey(
        found=[one for one in found if one.tells is not None or is_narrow],
        ahead_seconds=now - wall,
    )


def _surveyed(target: Target, scope: Scope, now: float) -> Surveyed:
    scrapes = target.scrapes
    page = target.page(scrapes[-1]) if scrapes else Page(samples={}, declared=frozenset())
    tells, untold = _told(page)
    labels = [labels_of(series) for series in page.samples]
    return Surveyed(
        name=target.labels.get(scope.replica) or target.labels.get("instance", "unnamed"),
        is_up=target.is_up,
        tells=tells,
        untold=untold,
        models=frozenset(one[name] for one in labels for name in _MODELS if one.get(name)),
        is_named=scope.replica not in target.displaced,
        age_seconds=now - scrapes[-1] if scrapes else None,
        apart_seconds=min((b - a for a, b in pairwise(scrapes)), default=None),
    )


def _told(page: Page) -> tuple[str | None, tuple[str, ...]]:
    present = {name_of(series) for series in page.samples}
    for engine in ENGINES.values():
        if any(name.startswith(engine.prefix) for name in present):
            return engine.kind.value, tuple(dict.fromkeys(_untold(page, engine)))
    for what, prefix, names in (
        (_FRONTEND, traffic.PREFIX, traffic.NAMES),
        (_WORKER, load.PREFIX, load.ALWAYS),
    ):
        if any(name.startswith(prefix) for name in present):
            return what, tuple(sorted(names - present))
    return None, ()


def _untold(page: Page, names: EngineNames) -> Iterator[str]:
    """Yield the names of series without which a figure is unknown; of alternatives the first."""
    held, told = gauges(page, names), counted(page, names)
    parts: list[tuple[object, Named | None]] = [
        (told.entered, names.entered), (told.finished, names.finished),
        (told.failed, names.failed), (told.prompts, names.prompts[0].count),
        (told.outputs, names.outputs[0].count), (told.ttft, names.ttft.count),
        (told.itl, names.itl.count), (held.running, names.running[0]),
        (held.waiting, names.waiting[0]), (held.entering, names.entering[0]),
        (held.kv_usage, names.kv_usage),
    ]  # fmt: skip
    yield from (series.name for figure, series in parts if figure is None and series is not None)
