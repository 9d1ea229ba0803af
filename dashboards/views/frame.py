"""What every page is put into: the journal or what to do without one, the time, the refreshing."""

import time
from collections.abc import Callable, Sequence

import streamlit as st

from dashboards.drawing.palette import present, series
from dashboards.drawing.parts import Spec
from dashboards.drawing.timelines import steps
from dashboards.reading.look import Look
from dashboards.reading.source import OBSERVE, Source
from dashboards.reading.window import Span, Window
from dashboards.summaries.fleet import STATES, change_rows, replica_rows
from planner.core.role import Role
from planner.core.units import format_duration
from planner.errors import PlannerError
from planner.journal import Run

REFRESH_SECONDS = 5.0
_TIMES: dict[str, float | None] = {
    "1h": 3600.0,
    "6h": 6 * 3600.0,
    "24h": 86400.0,
    "7d": 7 * 86400.0,
    "all": None,
}


def page(
    title: str, show: Callable[[Source, Span], None], *, every: float | None = REFRESH_SECONDS
) -> None:
    """Show *title*, a choice of time, and what *show* makes of the journal.

    The part with figures refreshes itself *every* so many seconds, with None when asked to;
    without a journal it says which command makes one.
    """
    st.title(title)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        seconds = _chosen_time()
        if every is None:
            st.button("Refresh", icon=":material/refresh:", key="refresh")
    st.fragment(_guarded, run_every=every)(show, seconds)


def _guarded(show: Callable[[Source, Span], None], seconds: float | None) -> None:
    try:
        source = Source.from_environment()
        span = source.span(seconds)
        if span is None:
            empty(f"No decision is in {source.path} yet.", OBSERVE)
        else:
            show(source, span)
    except PlannerError as error:
        empty(f"{error}.", error.hint)


def _chosen_time() -> float | None:
    chosen = st.segmented_control(
        "Time before the last decision", list(_TIMES), default="1h", key="time",
        required=True, bind="query-params",
    )  # fmt: skip
    return _TIMES[chosen or "1h"]


def empty(told: str, command: str | None) -> None:
    """Say what is missing, and the *command* that makes it."""
    st.info(told, icon=":material/info:")
    if command:
        st.caption("To fill this page, run:")
        st.code(command, language="shell", wrap_lines=True)


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs={Source: repr, Span: repr})
def _kept(source: Source, span: Span) -> tuple[Window, Sequence[Look]]:
    """Return the looks and the changes of *span*; read again only when there are new ones."""
    return source.window(span), source.changes(span)


def looks(source: Source, span: Span) -> tuple[Window, Sequence[Look]]:
    """Return the window of *span* and the decisions in it that changed the fleet."""
    return _kept(source, span)


def as_of(window: Window) -> None:
    """Say how old the figures are, and how many decisions they come from."""
    age = max(0.0, time.time() - window.span.until)
    every = "" if window.is_whole else f", of which every {window.every}th is read"
    st.caption(
        f"As of {format_duration(age)} ago · {window.span.decisions:,} decisions{every} · "
        f"the planner {window.latest.mode}"
    )


def replicas_chart(window: Window, changed: Sequence[Look], role: Role) -> None:
    """Show the replicas of *role* by state, with marks where *changed* ones moved it."""
    rows = replica_rows(window.looks, role)
    marks = change_rows(changed, role)
    spec = steps(rows, present(series(*STATES), rows), "replicas", marks=marks)
    chart(
        spec, f"Replicas, {role}", told="Triangles: decisions that changed it." if marks else None
    )


def tile(label: str, value: str, below: str = "", *, help: str | None = None) -> None:
    """Show one figure in a frame, with a few words *below*."""
    st.metric(
        label,
        value,
        delta=below or None,
        delta_color="off",
        delta_arrow="off",
        border=True,
        height="stretch",
        help=help,
    )


def chart(spec: Spec, title: str, *, told: str | None = None) -> None:
    """Show a chart under its *title*, with a line below of what it says."""
    st.markdown(f"**{title}**")
    st.vega_lite_chart(spec, width="stretch", alt=title)
    if told:
        st.caption(told)


def latest_run(source: Source) -> Run | None:
    """Return the last run in the journal; None before any."""
    runs = source.runs()
    return runs[-1] if runs else None
