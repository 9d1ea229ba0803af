"""Whether the Prometheus that is named has what planner would read there."""

import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from planner.cli.control.measures import patience, prometheus_api, scope
from planner.cli.doctoring.finding import Finding, failed, ok, told
from planner.config import Settings, from_environment, from_file, from_flags, settle
from planner.core.units import format_duration
from planner.errors import ConfigError, MetricsUnavailable
from planner.sources.prometheus.pages import host_and_port
from planner.sources.prometheus.survey import Survey, Surveyed, survey

_NAME = "prometheus"
_ONE_CLOCK_SECONDS = 2.0
_SHOWN = 5


async def prometheus(flags: Mapping[str, object], *, config: Path | None) -> Sequence[Finding]:
    """Return what is found of it; nothing where none is named."""
    try:
        layers = [from_environment(os.environ), from_flags(flags)]
        if config is not None:
            layers.insert(0, from_file(config))
        settings = settle(*layers).settings
        if settings.prometheus is None:
            return []
        api = prometheus_api(settings)
    except ConfigError as error:
        return [told("settings", error)]
    which = scope(settings, kube_namespace=settings.kube_namespace)
    urls = [url for listed in settings.servers.values() for url in listed]
    of = [host_and_port(url) for url in urls] if which.replica == "instance" else urls
    try:
        found = await survey(api, which, of=of or None, wall=time.time())
    except MetricsUnavailable as error:
        return [told(_NAME, error)]
    finally:
        await api.close()
    there = _there(api.url, found)
    if not found.found:
        what = f"{api.url} scrapes nothing of use with {which.told(of or None)}"
        return [there, failed("its targets", what, "--prometheus-labels, --prometheus-replica")]
    return [there, *_of_targets(settings, found.found, asked=of)]


def _there(url: str, found: Survey) -> Finding:
    ahead = found.ahead_seconds
    if abs(ahead) < _ONE_CLOCK_SECONDS:
        return ok(_NAME, f"{url} answers")
    apart = format_duration(round(abs(ahead)))
    which = "ahead of" if ahead > 0 else "behind"
    return ok(_NAME, f"{url} answers; its clock is {apart} {which} this one, which is no matter")


def _of_targets(
    settings: Settings, found: Sequence[Surveyed], *, asked: Collection[str]
) -> Iterator[Finding]:
    yield _reached(found, asked)
    if hidden := [one.name for one in found if not one.is_named]:
        what = f"that by which {_listed(hidden)} would be known is another on their series"
        yield failed("its labels", what, "--prometheus-replica name, or without honor_labels")
    up = [one for one in found if one.is_up]
    for kind in dict.fromkeys(one.tells for one in up):
        yield _series(kind, [one for one in up if one.tells == kind])
    models = frozenset[str]().union(*(one.models for one in up))
    if settings.model is not None and settings.model not in models:
        known = ", ".join(sorted(models)) or "none"
        yield failed("its models", f"{known}: not {settings.model}", "--model")
    elif models:
        yield ok("its models", ", ".join(sorted(models)))
    yield from _scrapes(settings, up)


def _reached(found: Sequence[Surveyed], asked: Collection[str]) -> Finding:
    down = [one.name for one in found if not one.is_up]
    absent = sorted({*asked} - {one.name for one in found})
    if absent:
        return failed(
            "its targets", f"{_listed(absent)} not scraped", "scrape_configs of Prometheus"
        )
    if down:
        what = f"{_listed(down)} of {len(found)} cannot be scraped"
        return failed("its targets", what, "Prometheus says why at /targets")
    return ok("its targets", f"{len(found)} scraped: {_listed([one.name for one in found])}")


def _series(kind: str | None, which: Sequence[Surveyed]) -> Finding:
    name = f"its series of {kind or 'no known server'}"
    if kind is None:
        what = f"{_listed([one.name for one in which])} tell nothing that planner reads"
        return failed(name, what, "--prometheus-labels LABEL=VALUE leaves them out")
    untold = sorted({series for one in which for series in one.untold})
    if not untold:
        return ok(name, "all that planner reads")
    remedy = "some servers tell it from their first request on: docs/guides/observe.md"
    return failed(name, f"without {', '.join(untold)}", remedy)


def _scrapes(settings: Settings, up: Sequence[Surveyed]) -> Iterator[Finding]:
    apart = max((one.apart_seconds for one in up if one.apart_seconds is not None), default=None)
    if apart is None:
        return
    every = format_duration(round(apart, 1))
    limit = patience(settings)
    if apart > min(1.05 * settings.interval, limit):
        yield failed(
            "its scrapes",
            f"every {every}, decisions every {format_duration(settings.interval)}",
            f"--interval {format_duration(round(2 * apart))}, or scrape more often",
        )
    else:
        yield ok("its scrapes", f"every {every}; figures count up to {format_duration(limit)}")


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
