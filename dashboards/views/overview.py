"""Is the SLA met, with how many replicas, at what cost, and what was decided last."""

import streamlit as st

from dashboards.drawing.palette import series
from dashboards.drawing.parts import Axis
from dashboards.drawing.timelines import steps, timeline
from dashboards.reading.look import Look
from dashboards.reading.source import Source
from dashboards.reading.window import Span, Window
from dashboards.summaries.fleet import (
    STATES,
    change_rows,
    fleet_now,
    gpu_rows,
    replica_rows,
    roles_of,
)
from dashboards.summaries.service import (
    Latency,
    Service,
    attainment_rows,
    latency_rows,
    load_rows,
    service,
)
from dashboards.summaries.words import plan_sentence
from dashboards.views.frame import as_of, chart, looks, page
from planner.core.sla import Sla
from planner.core.units import format_duration, format_rate, format_share

_MEANS = (
    "The journal keeps sums, not single requests: the mean is exact, the percentiles are those of "
    "the means of single intervals. The frontend's /metrics has those of requests."
)


def show(source: Source, span: Span) -> None:
    """Show the overview of *span*."""
    window, changed = looks(source, span)
    sla = Sla.parse(window.latest.sla)
    result = service(window.looks, attainment=sla.attainment)
    as_of(window)
    _verdict(result, sla)
    _tiles(window, result, sla)
    _latencies(window, result, sla)
    st.markdown("**Last decision**")
    record = source.record(span.last)
    st.markdown(plan_sentence(record))
    for role in roles_of(window.looks):
        spec = steps(
            replica_rows(window.looks, role), series(*STATES), "replicas",
            marks=change_rows(changed, role),
        )  # fmt: skip
        chart(spec, f"Replicas, {role}")
    chart(
        steps(gpu_rows(window.looks), series("decided", "held"), "GPUs"),
        "GPUs of the replicas that are ready or starting",
    )
    chart(timeline(load_rows(window.looks), series("arrived"), Axis("requests/s")), "Load")


def _verdict(result: Service, sla: Sla) -> None:
    if result.attainment is None:
        st.warning(f"Whether {sla} is met is unknown: no request ended in this time.",
                   icon=":material/help:")  # fmt: skip
        return
    share = f"{format_share(result.attainment)} of {result.ended:,.0f} requests were inside {sla}"
    if result.attainment >= sla.attainment:
        st.success(f"SLA met: {share}.", icon=":material/check_circle:")
    else:
        st.error(f"SLA missed: {share}.", icon=":material/cancel:")


def _tiles(window: Window, result: Service, sla: Sla) -> None:
    latest = window.latest
    with st.grid(columns="auto", min_column_width=150, key="tiles"):
        st.metric("Attainment", _share(result.attainment), border=True,
                  delta=f"target {format_share(sla.attainment)}", delta_color="off",
                  delta_arrow="off")  # fmt: skip
        st.metric("Error budget left", _share(result.budget_left), border=True,
                  help="Share of the late or failed requests that the SLA allows in this time and "
                       "that has not been used; below 0 it is overspent.")  # fmt: skip
        for now in fleet_now(latest):
            also = [f"{n} {what}" for n, what in
                    ((now.starting, "starting"), (now.draining, "draining")) if n]  # fmt: skip
            st.metric(f"{now.role}: ready / desired", f"{_n(now.ready)} / {_n(now.desired)}",
                      border=True, delta=", ".join(also) or None, delta_color="off",
                      delta_arrow="off")  # fmt: skip
        st.metric("GPUs now / decided", f"{_n(latest.gpus)} / {_n(latest.gpus_desired)}",
                  border=True)  # fmt: skip
        st.metric("Cost per hour", _money(latest), border=True,
                  help="Of the fleet decided on. Unknown without a GPU price in the profile; the "
                       "Cost page takes one.")  # fmt: skip
        st.metric("Load", "unknown" if result.arrived_rps is None else
                  format_rate(result.arrived_rps), border=True)  # fmt: skip
        st.metric("Metrics were", "unknown" if latest.age_seconds is None else
                  f"{format_duration(latest.age_seconds)} old", border=True)  # fmt: skip


def _latencies(window: Window, result: Service, sla: Sla) -> None:
    lines = series("mean", "slowest interval")
    for kind, known, target in (
        ("ttft", result.ttft, sla.ttft_seconds),
        ("itl", result.itl, sla.itl_seconds),
    ):
        level = None if target is None else (target * 1e3, f"target {format_duration(target)}")
        spec = timeline(latency_rows(window.looks, kind=kind), lines, Axis("ms", target=level))
        chart(spec, f"{kind.upper()}  ·  {_latency(known)}")
    st.caption(_MEANS)
    level = (sla.attainment, f"target {format_share(sla.attainment)}")
    axis = Axis("share inside", "~%", target=level, from_zero=False)
    spec = timeline(attainment_rows(window.looks), series("observed", "predicted"), axis)
    chart(spec, "Requests inside the SLA")


def _latency(known: Latency | None) -> str:
    if known is None:
        return "nothing measured"
    figures = (("mean", known.mean), ("p50", known.p50), ("p95", known.p95), ("p99", known.p99))
    return ", ".join(f"{name} {format_duration(value)}" for name, value in figures)


def _share(value: float | None) -> str:
    return "unknown" if value is None else format_share(value)


def _n(value: int | None) -> str:
    return "?" if value is None else str(value)


def _money(look: Look) -> str:
    return "unknown" if look.cost_desired is None else f"${look.cost_desired:,.2f}"


page("Overview", show)
