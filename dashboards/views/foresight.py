"""The part of the Cost page that holds the fleet against perfect foresight, when asked to."""

import streamlit as st

from dashboards.drawing.palette import series
from dashboards.drawing.parts import Axis
from dashboards.drawing.planes import bars
from dashboards.reading.source import Source
from dashboards.reading.window import Window
from dashboards.summaries.cost import LINES, costs, gpus_per_replica
from dashboards.summaries.forecasts import policy_of
from dashboards.summaries.foresight import (
    MOST_REQUESTS,
    Foresight,
    against_rows,
    foresight,
    searchable,
)
from dashboards.summaries.service import service
from dashboards.summaries.words import clock
from dashboards.views.frame import chart
from planner.core.policy import PolicyConfig
from planner.core.profile import Profile
from planner.core.units import format_duration
from planner.errors import PlannerError


def against_foresight(source: Source, window: Window, price: float | None) -> None:
    """Offer to search for what foresight would have taken, and show what was found."""
    st.subheader("Against perfect foresight")
    st.caption(
        "The least that a planner could have held which knew every request beforehand, bound only "
        "by the cold start and by the fleet at the beginning. The journal tells when requests "
        "arrived and the sums of their lengths: those of a quarter of a second are taken to have "
        "equal prompts, those of an interval equal outputs, and engines to be as in the profile. "
        f"Searched are the last {MOST_REQUESTS:,} requests of the latest run at most."
    )
    policy = next((policy_of(one) for one in source.runs() if one.id == window.latest.run), None)
    if policy is None:
        st.info("The latest run decided without a profile, or was of another version of planner.",
                icon=":material/info:")  # fmt: skip
        return
    if st.button("Find it", icon=":material/search:", key="foresight"):
        st.session_state["found"] = _search(source, window, *policy)
    found: Foresight | str | None = st.session_state.get("found")
    if isinstance(found, str):
        st.info(found, icon=":material/info:")
    elif found is not None:
        _compared(found, source, window, price)


def _search(
    source: Source, window: Window, config: PolicyConfig, profile: Profile
) -> Foresight | str:
    """Return what is found, or why nothing can be."""
    chosen = searchable(source.intervals(window.span, run=window.latest.run))
    place = st.empty()

    def progress(share: float) -> None:
        place.progress(share, "Searching ...")

    try:
        progress(0.0)
        found = foresight(chosen, config, profile, progress=progress)
    except PlannerError as error:
        return f"{error}."
    finally:
        place.empty()
    return found or "No request has finished in this time: how long outputs are is unknown."


def _compared(found: Foresight, source: Source, window: Window, price: float | None) -> None:
    looks_then = [look for look in window.looks if found.since <= look.at <= found.until]
    spent = costs(looks_then, gpus_per_replica(source.runs()))
    if not spent.total.hours:
        st.info("That was another time than the one chosen: find it anew.",
                icon=":material/info:")  # fmt: skip
        return
    total = spent.total
    held = dict(zip(LINES, (total.held, total.decided, spent.static(total)), strict=True))
    attained = service(looks_then, attainment=0.5).attainment
    st.table(against_rows(found, held, attained=attained, price=price), hide_index=True,
             border="horizontal")  # fmt: skip
    st.caption(
        f"{found.requests:,} requests from {clock(found.since)} to {clock(found.until)}, in which "
        f"a planner looked for {format_duration(total.hours * 3600)}. Read the cost beside the "
        "attainment: foresight buys just what the SLA asks for."
    )
    rows = [{"x": "GPU-hours", "series": name, "value": round(value, 4)}
            for name, value in {**held, "perfect foresight": found.gpu_hours}.items()]  # fmt: skip
    chart(bars(rows, series(*LINES, "perfect foresight"), Axis("GPU-hours"), x=""),
          "GPU-hours against perfect foresight")  # fmt: skip
