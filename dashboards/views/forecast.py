"""Were the forecasts right: what was expected against what came, and the headroom learned."""

import streamlit as st

from dashboards.drawing.palette import series
from dashboards.drawing.parts import Axis
from dashboards.drawing.planes import plane
from dashboards.drawing.timelines import timeline
from dashboards.reading.source import Source
from dashboards.reading.window import Span
from dashboards.summaries.forecasters import (
    FEWEST,
    Ahead,
    error_rows,
    judged_ahead,
    ranking_rows,
)
from dashboards.summaries.forecasts import (
    LINES,
    Accuracy,
    History,
    accuracy,
    forecast_rows,
    headroom_rows,
    histories,
    policy_of,
)
from dashboards.summaries.service import drift_rows, length_rows, load_rows
from dashboards.views.frame import as_of, chart, empty, looks, page
from planner.core.policy import PolicyConfig
from planner.core.profile import Profile
from planner.core.role import Role
from planner.core.units import format_duration, format_share

# Decisions that are decided again: two hours of them take about two seconds.
_MOST = 1_500
_REFRESH_SECONDS = 60.0


def show(source: Source, span: Span) -> None:
    """Show the forecasts of *span*, as far as the latest run made them."""
    window, _ = looks(source, span)
    as_of(window)
    run = window.latest.run
    most = min(_MOST, span.decisions)
    known = _histories(source, run, span.last, most)
    if known is None:
        empty(
            "The latest run decided without a profile, or was of another version of planner.",
            "planner run --observe --sla ttft=200ms,itl=20ms --profile llama-3.1-8b-fp8-h200",
        )
    else:
        _roles(known)
        role = _chosen(known)
        _forecasters(role, _judged(source, run, span.last, most, role))
        if span.decisions > _MOST:
            st.caption(f"Of the last {_MOST:,} decisions of run {run}.")
    st.subheader("What the forecasts are made of")
    chart(timeline(load_rows(window.looks), series("arrived"), Axis("requests/s")), "Requests")
    lengths = length_rows(window.looks)
    chart(
        timeline(lengths, series("ISL", "OSL"), Axis("tokens, mean")),
        "Lengths: drift of ISL and OSL",
    )
    if drift := drift_rows(window.looks):
        st.table(drift, hide_index=True, border="horizontal")


def _roles(known: dict[Role, History]) -> None:
    judged = [one for role, history in known.items() if (one := accuracy(role, history))]
    if not judged:
        st.info("No forecast has come due yet: they look one cold start ahead.",
                icon=":material/hourglass_empty:")  # fmt: skip
    else:
        st.table([_row(one) for one in judged], hide_index=True, border="horizontal")
        st.caption(
            "Error and bias: of the demand that came, mean over "
            f"{judged[0].judged} intervals. Covered: demand within forecast and headroom."
        )
    for role, history in known.items():
        spec = timeline(forecast_rows(history), series(*LINES), Axis("replicas of work"))
        chart(spec, f"{role}: forecast, drawn at the time that it was made for")
    spec = timeline(headroom_rows(known), series(*(role.value for role in known)),
                    Axis("times the forecast", from_zero=False))  # fmt: skip
    chart(spec, "Headroom learned from past errors")


def _chosen(known: dict[Role, History]) -> Role:
    st.subheader("Which forecaster leads")
    first = next(iter(known))
    chosen = st.segmented_control("Role", [role.value for role in known], default=first.value,
                                  key="role", required=True, bind="query-params")  # fmt: skip
    return Role(chosen) if chosen else first


def _forecasters(role: Role, aheads: list[Ahead]) -> None:
    if not aheads:
        st.info(f"Too few forecasts have come due: {FEWEST} are the least to tell one from "
                "another.", icon=":material/hourglass_empty:")  # fmt: skip
        return
    st.table(ranking_rows(aheads), hide_index=True, border="horizontal")
    st.caption(
        "Mean absolute error as a share of the demand that came. Each forecaster is asked again at "
        f"every interval, from what was known then: {aheads[0].judged} forecasts at the shortest "
        "horizon. Seasons need a day or a week of history, more than is read here. The nearest is "
        "not the cheapest to follow, since a replica too few costs more than one too many: the "
        "planner follows the one that its setting `forecaster` names."
    )
    rows = error_rows(aheads)
    spec = plane(rows, series(*aheads[0].errors), x="minutes ahead",
                 y=Axis("error, share of the demand", ".0%"), curve=rows, columns=2)  # fmt: skip
    chart(spec, f"{role}: error by horizon")


def _row(one: Accuracy) -> dict[str, object]:
    return {
        "role": one.role.value,
        "ahead": format_duration(one.horizon_seconds),
        "error": format_share(one.error),
        "bias": f"{one.bias:+.1%}",
        "covered": format_share(one.covered),
        "headroom": f"{one.headroom:.2f}x",
    }


@st.cache_resource(max_entries=4, show_spinner="Deciding again on what was seen ...",
                   hash_funcs={Source: repr})  # fmt: skip
def _histories(source: Source, run: int, last: int, most: int) -> dict[Role, History] | None:  # noqa: ARG001 - a new decision is another result
    policy = _policy(source, run)
    return None if policy is None else histories(source.records(run, most=most), *policy)


@st.cache_resource(max_entries=8, show_spinner="Forecasting again ...", hash_funcs={Source: repr})
def _judged(source: Source, run: int, last: int, most: int, role: Role) -> list[Ahead]:
    known, policy = _histories(source, run, last, most), _policy(source, run)
    assert known is not None
    assert policy is not None
    config, _ = policy
    return judged_ahead(
        known[role].came,
        lead_seconds=config.lead_seconds,
        interval_seconds=config.interval_seconds,
    )


def _policy(source: Source, run: int) -> tuple[PolicyConfig, Profile] | None:
    return next((policy_of(one) for one in source.runs() if one.id == run), None)


page("Forecast", show, every=_REFRESH_SECONDS)
