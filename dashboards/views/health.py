"""Is the planner well: who acts, when it last looked, what it saw, and what went wrong."""

import time

import streamlit as st

from dashboards.drawing.palette import series
from dashboards.drawing.parts import Axis
from dashboards.drawing.timelines import timeline
from dashboards.reading.source import Source
from dashboards.reading.window import Span, Window
from dashboards.summaries.health import (
    Rows,
    age_rows,
    is_late,
    moved_rows,
    role_rows,
    run_rows,
    trouble_rows,
    usual_gap,
)
from dashboards.views.frame import as_of, chart, looks, page
from planner.core.units import format_duration


def show(source: Source, span: Span) -> None:
    """Show how the planner does, as far as its journal tells."""
    window, _ = looks(source, span)
    as_of(window)
    _pulse(window)
    record = source.record(span.last)
    st.markdown("**As last seen**")
    if record.entry.observation is None:
        st.info("The last decision saw nothing.", icon=":material/visibility_off:")
    else:
        st.table(role_rows(record.entry.observation), hide_index=True, border="horizontal")
    _table("What went wrong", trouble_rows(source.troubles(span)),
           blank="Nothing was noted in this time.")  # fmt: skip
    chart(
        timeline(age_rows(window.looks), series("age"), Axis("seconds", ",.3~r")),
        "Age of the metrics used",
    )
    _table("Replicas started and drained", moved_rows(source.moved(span)),
           blank="None in this time: nothing changed, or the planner only observes.")  # fmt: skip
    st.markdown("**Who decides**")
    st.table(run_rows(source.runs()), hide_index=True, border="horizontal")


def _pulse(window: Window) -> None:
    age = max(0.0, time.time() - window.span.until)
    gap = usual_gap(window.looks, every=window.every)
    told = f"The last decision is {format_duration(age)} old"
    usual = "" if gap is None else f"; usually there is one every {format_duration(gap)}"
    if is_late(age, gap):
        st.error(f"{told}{usual}. The planner does not run, or it hangs.",
                 icon=":material/heart_broken:")  # fmt: skip
    else:
        acts = "acts on the deployment" if window.latest.mode == "acts" else "only observes"
        st.success(f"{told}{usual}. The planner {acts}.", icon=":material/ecg_heart:")


def _table(title: str, rows: Rows, *, blank: str) -> None:
    """Show *rows*, or what it means that there are none."""
    st.markdown(f"**{title}**")
    if rows:
        st.table(rows, hide_index=True, border="horizontal")
    else:
        st.caption(blank)


page("Health", show)
