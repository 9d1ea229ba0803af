"""Whether the SLA is met: attainment, the error budget, and latencies as far as they are known."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from dashboards.reading.look import Counts, Look
from planner.core.observation import Quantiles

Rows = list[dict[str, object]]

POINTS = 200
"""Points of a line at most."""
PERCENTILES = ("p50", "p95", "p99")
"""What is told of how latencies are spread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Seconds over the requests of a window, by the sums of each interval in the journal.

    So *mean* is exact, while the percentiles are those of the intervals' means, each counted by
    its requests: single slow requests are averaged away in them.
    """

    mean: float
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What requests got in a window; None where nothing tells."""

    ended: float
    """Requests that finished or failed."""
    judged: float
    """Those of them of which is known how many were inside the SLA."""
    attainment: float | None
    budget_left: float | None
    """Share of the misses that the SLA allows which is still unused; below 0 when overspent."""
    ttft: Latency | None
    itl: Latency | None
    arrived_rps: float | None
    isl: float | None
    osl: float | None


def service(looks: Iterable[Look], *, attainment: float) -> Service:
    """Return what requests got in *looks*, judged by an SLA that asks for *attainment*."""
    traffic = [look.traffic for look in looks if look.traffic is not None]
    judged, share = _judged(traffic)
    seconds = sum(t.seconds for t in traffic)
    arrived = sum(t.arrived for t in traffic)
    finished = sum(t.finished for t in traffic)
    return Service(
        ended=sum(t.finished + t.failed for t in traffic),
        judged=judged,
        attainment=share,
        budget_left=None if share is None else 1 - (1 - share) / (1 - attainment),
        ttft=_latency([(t.ttft_sum, t.ttft_count) for t in traffic]),
        itl=_latency([(t.itl_sum, t.itl_count) for t in traffic]),
        arrived_rps=arrived / seconds if seconds else None,
        isl=sum(t.isl_sum for t in traffic) / arrived if arrived else None,
        osl=sum(t.osl_sum for t in traffic) / finished if finished else None,
    )


def _judged(traffic: Iterable[Counts]) -> tuple[float, float | None]:
    """Return the requests that ended where it is known how they did, and the share inside."""
    known = [(t.within_sla, t.finished + t.failed) for t in traffic if t.within_sla is not None]
    ended = sum(count for _, count in known)
    return ended, min(1.0, sum(within for within, _ in known) / ended) if ended else None


def _latency(sums: Sequence[tuple[float, float]]) -> Latency | None:
    means = sorted((total / count, count) for total, count in sums if count)
    if not means:
        return None
    counts = list(accumulate(count for _, count in means))

    def percentile(share: float) -> float:
        return next(
            mean
            for (mean, _), below in zip(means, counts, strict=True)
            if below >= share * counts[-1]
        )

    total = sum(total for total, _ in sums)
    return Latency(
        mean=total / counts[-1], p50=percentile(0.5), p95=percentile(0.95), p99=percentile(0.99)
    )


def newest(looks: Sequence[Look], *, kind: str) -> Quantiles | None:
    """Return the percentiles of *kind* in the last interval that has any; None without one."""
    told = (_spread(look, kind) for look in reversed(looks))
    return next((one for one in told if one is not None), None)


def spread_rows(looks: Sequence[Look], *, kind: str) -> Rows:
    """Return p50, p95 and p99 of *kind* (``ttft`` or ``itl``) over time in milliseconds.

    Percentiles of several intervals do not add up: where a point stands for a stretch of looks,
    each is the highest of an interval in it.
    """
    rows: Rows = []
    for part in _parts(looks):
        told = [one for look in part if (one := _spread(look, kind)) is not None]
        for name in PERCENTILES:
            highest = max((getattr(one, name) for one in told), default=None)
            rows.append(_point(part, name, None if highest is None else highest * 1e3))
    return rows


def latency_rows(looks: Sequence[Look], *, kind: str) -> Rows:
    """Return the mean *kind* (``ttft`` or ``itl``) over time in milliseconds, and its worst.

    Each point stands for a stretch of equally many looks; ``worst`` is its slowest interval.
    """
    rows: Rows = []
    for part in _parts(looks):
        means = [(getattr(t, f"{kind}_sum"), getattr(t, f"{kind}_count")) for t in _told(part)]
        known = [(total, count) for total, count in means if count]
        mean = sum(t for t, _ in known) / sum(c for _, c in known) * 1e3 if known else None
        worst = max((t / c for t, c in known), default=None)
        rows.append(_point(part, "mean", mean))
        rows.append(_point(part, "slowest interval", None if worst is None else worst * 1e3))
    return rows


def attainment_rows(looks: Sequence[Look]) -> Rows:
    """Return the share of requests inside the SLA over time, and what was predicted."""
    rows: Rows = []
    for part in _parts(looks):
        _, share = _judged(_told(part))
        rows.append(_point(part, "observed", share))
        rows.append(_point(part, "predicted", part[-1].predicted))
    return rows


def load_rows(looks: Sequence[Look]) -> Rows:
    """Return requests that arrived a second over time."""
    rows: Rows = []
    for part in _parts(looks):
        seconds = sum(t.seconds for t in _told(part))
        arrived = sum(t.arrived for t in _told(part))
        rows.append(_point(part, "arrived", arrived / seconds if seconds else None))
    return rows


def length_rows(looks: Sequence[Look]) -> Rows:
    """Return the mean ISL and OSL over time, in tokens."""
    rows: Rows = []
    for part in _parts(looks):
        told = _told(part)
        arrived, finished = sum(t.arrived for t in told), sum(t.finished for t in told)
        isl, osl = sum(t.isl_sum for t in told), sum(t.osl_sum for t in told)
        rows.append(_point(part, "ISL", isl / arrived if arrived else None))
        rows.append(_point(part, "OSL", osl / finished if finished else None))
    return rows


def drift_rows(looks: Sequence[Look]) -> Rows:
    """Return how mean ISL and OSL moved from the first third of *looks* to the last, in tokens."""
    third = len(looks) // 3
    first, last = service(looks[:third], attainment=0.5), service(looks[-third:], attainment=0.5)
    rows: Rows = []
    for name, before, after in (("ISL", first.isl, last.isl), ("OSL", first.osl, last.osl)):
        if before and after and third:
            change = f"{after / before - 1:+.1%}"
            rows.append({"": name, "first third": f"{before:,.0f}", "last third": f"{after:,.0f}",
                         "drift": change})  # fmt: skip
    return rows


def _parts(looks: Sequence[Look]) -> list[Sequence[Look]]:
    size = max(1, -(-len(looks) // POINTS))
    return [looks[start : start + size] for start in range(0, len(looks), size)]


def _spread(look: Look, kind: str) -> Quantiles | None:
    return look.latencies.ttft if kind == "ttft" else look.latencies.itl


def _told(looks: Sequence[Look]) -> list[Counts]:
    return [look.traffic for look in looks if look.traffic is not None]


def _point(part: Sequence[Look], name: str, value: float | None) -> dict[str, object]:
    return {"at": round(part[-1].at * 1e3), "series": name, "value": value}
