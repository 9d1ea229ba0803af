"""Is the SLA met, with how many replicas, at what cost, and what was decided last."""

import streamlit as st

from dashboards.drawing.palette import series
from dashboards.drawing.parts import Axis
from dashboards.drawing.timelines import steps, timeline
from dashboards.reading.source import Source
from dashboards.reading.window import Span, Window
from dashboards.summaries.fleet import gpu_rows, roles_of
from dashboards.summaries.service import (
    PERCENTILES,
    Latency,
    Service,
    attainment_rows,
    latency_rows,
    load_rows,
    newest,
    service,
    spread_rows,
)
from dashboards.summaries.words import plan_sentence
from dashboards.views.frame import as_of, chart, looks, page, replicas_chart, tile
from planner.core.observation import Quantiles
from planner.core.sla import Sla
from planner.core.units import format_duration, format_rate, format_share

_SPREAD = (
    "p50, p95 and p99 are those of the requests of each interval, read off the histograms of all "
    "frontends or servers together; a point that stands for several intervals is their highest."
)
_MEANS = (
    "The journal keeps sums, not single requests: the mean is exact, the percentiles are those of "
    "the means of single intervals. The frontend's /metrics has those of requests."
)

_BUDGET = (
    "Share of the late or failed requests that the SLA allows in this time and that has not been "
    "used; below 0 it is overspent."
)


def show(source: Source, span: Span) -> None:
    """Show the overview of *span*: supply before demand."""
    window, changed = looks(source, span)
    sla = Sla.parse(window.latest.sla)
    result = service(window.looks, attainment=sla.attainment)
    as_of(window)
    _verdict(result, sla)
    _tiles(window, result, sla)
    st.markdown(f"**Last decision.** {plan_sentence(source.record(span.last))}")
    roles = roles_of(window.looks)
    for role, place in zip(roles, st.columns(max(1, len(roles))), strict=False):
        with place:
            replicas_chart(window, changed, role)
    left, right = st.columns(2)
    with left:
        spec = steps(gpu_rows(window.looks), series("decided", "held"), "GPUs")
        chart(spec, "GPUs of ready and starting replicas")
    with right:
        chart(timeline(load_rows(window.looks), series("arrived"), Axis("requests/s")), "Load")
    _latencies(window, result, sla)
    _attainment(window, sla)


def _verdict(result: Service, sla: Sla) -> None:
    if result.attainment is None:
        why = "nothing tells how requests did" if result.ended else "no request ended"
        st.warning(f"Whether {sla} is met is unknown: {why} in this time.", icon=":material/help:")
        return
    share = f"{format_share(result.attainment)} of {result.judged:,.0f} requests were inside {sla}"
    if result.attainment >= sla.attainment:
        st.success(f"SLA met: {share}.", icon=":material/check_circle:")
    else:
        st.error(f"SLA missed: {share}.", icon=":material/cancel:")


def _tiles(window: Window, result: Service, sla: Sla) -> None:
    latest = window.latest
    with st.grid(columns="auto", min_column_width=150, key="tiles"):
        tile("Attainment", _share(result.attainment), f"target {format_share(sla.attainment)}")
        left = result.budget_left
        tile("Error budget left", "-" if left is None else f"{left:,.0%}", help=_BUDGET)
        for role, now in latest.roles.items():
            states = ((now.starting, "starting"), (now.draining, "draining"))
            also = ", ".join(f"{count} {state}" for count, state in states if count)
            tile(f"{role}: ready / desired", f"{_n(now.ready)} / {_n(now.desired)}", also)
        tile("GPUs now / decided", f"{_n(latest.gpus)} / {_n(latest.gpus_desired)}")
        cost = latest.cost_desired
        tile(
            "Cost per hour",
            "-" if cost is None else f"${cost:,.2f}",
            "no GPU price" if cost is None else "",
            help="Of the fleet decided on. The profile has the price; the Cost page takes one.",
        )
        rate, age = result.arrived_rps, latest.age_seconds
        tile("Load", "-" if rate is None else format_rate(rate))
        tile("Metrics were", "-" if age is None else f"{format_duration(age)} old")


def _latencies(window: Window, result: Service, sla: Sla) -> None:
    kinds = (("ttft", result.ttft, sla.ttft_seconds), ("itl", result.itl, sla.itl_seconds))
    captions = dict[str, None]()
    for (kind, known, target), place in zip(kinds, st.columns(2), strict=True):
        level = None if target is None else (target * 1e3, f"target {format_duration(target)}")
        axis, last = Axis("ms", target=level), newest(window.looks, kind=kind)
        with place:
            if last is None:
                rows = latency_rows(window.looks, kind=kind)
                spec = timeline(rows, series("mean", "slowest interval"), axis)
            else:
                spec = timeline(spread_rows(window.looks, kind=kind), series(*PERCENTILES), axis)
            chart(spec, kind.upper(), told=_latency(known, last))
        captions[_MEANS if last is None else _SPREAD] = None
    for caption in captions:
        st.caption(caption)


def _attainment(window: Window, sla: Sla) -> None:
    level = (sla.attainment, f"target {format_share(sla.attainment)}")
    axis = Axis("share inside", "~%", target=level, from_zero=False)
    spec = timeline(attainment_rows(window.looks), series("observed", "predicted"), axis)
    chart(spec, "Requests inside the SLA")


def _latency(known: Latency | None, last: Quantiles | None) -> str:
    """Return the mean and percentiles that are *known*, those of the *last* interval if told."""
    if known is None:
        return "nothing measured" if last is None else f"last interval {_percentiles(last)}"
    mean = f"mean {format_duration(known.mean)}"
    if last is None:
        return f"{mean}, {_percentiles(known)}"
    return f"{mean}; last interval {_percentiles(last)}"


def _percentiles(told: Latency | Quantiles) -> str:
    return ", ".join(f"{name} {format_duration(getattr(told, name))}" for name in PERCENTILES)


def _share(value: float | None) -> str:
    return "-" if value is None else format_share(value)


def _n(value: int | None) -> str:
    return "?" if value is None else str(value)


page("Overview", show)
