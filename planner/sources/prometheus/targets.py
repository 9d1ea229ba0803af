"""What a Prometheus scrapes, put together again: the page of each process at each scrape.

A target's own labels are those of its `up`. Without them, and with those that they displaced under
their names again, series are as the process told them. Where labels are honoured, a process' own
displace the target's instead.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan

from planner.sources.exposition import Page
from planner.sources.prometheus.api import Series
from planner.sources.prometheus.promql import UP

_DISPLACED = "exported_"
_OWN = frozenset({"instance", "namespace", "component"})
"""Labels that processes of this project have themselves."""

_Key = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One thing that is scraped: *scrapes* are the times when it answered, oldest first."""

    labels: Mapping[str, str]
    is_up: bool
    """Whether its last scrape succeeded."""
    scrapes: Sequence[float]
    series: Sequence[Series]
    """Without its labels."""
    displaced: frozenset[str] = frozenset()
    """Those of its labels in whose place series have others, which the process told."""

    def page(self, at: float) -> Page:
        """Return the page of the scrape *at* that time."""
        found: dict[str, float] = {}
        for one in self.series:
            place = bisect_right(one.samples, at, key=lambda sample: sample[0]) - 1
            # A series of which that scrape has no sample was not on its page.
            if place >= 0 and one.samples[place][0] == at and not isnan(one.samples[place][1]):
                found[_written(one.labels)] = one.samples[place][1]
        return Page(samples=found, declared=frozenset())


def targets(found: Iterable[Series]) -> Sequence[Target]:
    """Return the targets that *found* has the `UP` of, with the other series that are theirs."""
    ups: dict[_Key, Series] = {}
    others: list[Series] = []
    for one in found:
        labels = dict(one.labels)
        if labels.pop("__name__", None) == UP and one.samples:
            ups[tuple(sorted(labels.items()))] = one
        else:
            others.append(one)
    told = _by_target(others, ups)
    return [_target(key, up, told[key]) for key, up in sorted(ups.items(), key=lambda it: it[0])]


def still(found: Iterable[Target], there: Iterable[Mapping[str, str]]) -> Sequence[Target]:
    """Return those of *found* that are *there* too, as the labels of each `UP` tell."""
    keys = {frozenset(labels.items()) - {("__name__", UP)} for labels in there}
    return [one for one in found if frozenset(one.labels.items()) in keys]


def _by_target(series: Iterable[Series], ups: Mapping[_Key, Series]) -> Mapping[_Key, list[Series]]:
    shapes = sorted({tuple(name for name, _ in key) for key in ups}, key=len, reverse=True)
    without_own = _unique(ups)
    found: dict[_Key, list[Series]] = defaultdict(list)
    for one in series:
        keys = [tuple((name, one.labels.get(name, "")) for name in shape) for shape in shapes]
        honoured = (without_own.get(_without_own(key)) for key in keys)
        key = next((key for key in keys if key in ups), None) or next(filter(None, honoured), None)
        if key is not None:
            found[key].append(one)
    return found


def _unique(ups: Iterable[_Key]) -> Mapping[_Key, _Key | None]:
    """Return the targets by those labels that no process displaces; None where two have them."""
    found: dict[_Key, _Key | None] = {}
    for key in ups:
        short = _without_own(key)
        found[short] = None if short in found else key
    return found


def _without_own(key: _Key) -> _Key:
    return tuple((name, value) for name, value in key if name not in _OWN)


def _told(labels: Mapping[str, str], target: Mapping[str, str]) -> Mapping[str, str]:
    """Return *labels* as they stood on the page of *target*."""
    return {
        (bare if (bare := name.removeprefix(_DISPLACED)) in target else name): value
        for name, value in labels.items()
        if target.get(name) != value
    }


def _target(key: _Key, up: Series, series: Sequence[Series]) -> Target:
    labels = dict(key)
    return Target(
        labels=labels,
        is_up=up.samples[-1][1] == 1,
        scrapes=[at for at, value in up.samples if value == 1],
        series=[Series(labels=_told(s.labels, labels), samples=s.samples) for s in series],
        displaced=frozenset(
            name for one in series for name in labels if one.labels.get(name) != labels[name]
        ),
    )


def _written(labels: Mapping[str, str]) -> str:
    """Return a series as a page has it."""
    pairs = ",".join(
        f'{name}="{_escaped(value)}"'
        for name, value in sorted(labels.items())
        if name != "__name__"
    )
    return f"{labels['__name__']}{{{pairs}}}" if pairs else labels["__name__"]


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
