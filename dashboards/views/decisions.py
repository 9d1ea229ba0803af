"""Every decision: filtered, and the chosen one with its steps and what was weighed."""

import streamlit as st

from dashboards.reading.listing import MOST_LISTED, MOST_SEARCHED, Filter, Listed
from dashboards.reading.source import Source
from dashboards.reading.window import Span
from dashboards.summaries.fleet import roles_of
from dashboards.summaries.listed import listed_rows
from dashboards.summaries.words import alternative_rows, change, clock, step_rows
from dashboards.views.frame import as_of, looks, page, replicas_chart
from planner.core.explain import sight
from planner.core.plan import Decision, Reason
from planner.core.role import Role

_ANY = "any"


def show(source: Source, span: Span) -> None:
    """Show the decisions of *span*."""
    window, changed = looks(source, span)
    as_of(window)
    chosen = _filter()
    listed = source.listing(span, chosen)
    if not listed:
        st.info("No decision matches. Widen the time, or choose any role and any reason.",
                icon=":material/filter_alt_off:")  # fmt: skip
        return
    marked = [one.look for one in listed] if chosen != Filter() else changed
    roles = [role for role in roles_of(window.looks) if chosen.role in (None, role)]
    for role, place in zip(roles, st.columns(max(1, len(roles))), strict=False):
        with place:
            replicas_chart(window, marked, role)
    _details(source, _picked(listed))
    if chosen.changed and span.decisions > MOST_SEARCHED:
        st.caption(f"Changes were looked for in the last {MOST_SEARCHED:,} decisions.")


def _filter() -> Filter:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        role = st.selectbox("Role", [_ANY, *Role], key="role", width=160, bind="query-params")
        reason = st.selectbox(
            "Reason", [_ANY, *Reason], key="reason", width=260, bind="query-params"
        )
        changed = st.toggle("Only changes and failures", key="changed", bind="query-params")
    return Filter(
        role=None if role == _ANY else Role(role),
        reason=None if reason == _ANY else Reason(reason),
        changed=changed,
    )


def _picked(listed: list[Listed]) -> int:
    """Show the list; return the decision that is selected in it, the newest until one is."""
    more = " or more; these are the latest" if len(listed) == MOST_LISTED else ""
    st.markdown(f"**{len(listed)} decisions, newest first**{more}")
    event = st.dataframe(
        listed_rows(listed), hide_index=True, height=280, key="list", on_select="rerun",
        selection_mode="single-row", alt="Decisions",
    )  # fmt: skip
    rows = event["selection"]["rows"]
    place = rows[0] if rows and rows[0] < len(listed) else 0
    return listed[place].look.id


def _details(source: Source, decision: int) -> None:
    record = source.record(decision)
    entry = record.entry
    st.subheader(f"Decision {decision}")
    st.caption(f"{clock(entry.at)} · run {record.run}, the planner {record.mode} · SLA {record.sla}"
               " · select a row above for another one")  # fmt: skip
    if entry.observation is not None:
        st.markdown(f"Saw: {sight(entry.observation)}.")
    for one in entry.plan.decisions.values() if entry.plan else ():
        _role(one)
    acted = [entry.outcome or "not acted on"]
    acted += [f"started {', '.join(entry.started)}"] if entry.started else []
    acted += [f"draining {', '.join(entry.draining)}"] if entry.draining else []
    st.markdown(f"Result: {'; '.join(acted)}.{f' {entry.note}.' if entry.note else ''}")


def _role(decision: Decision) -> None:
    with st.container(border=True):
        st.markdown(
            f"**{decision.role}**: {change(decision)}; the load alone asks for {decision.raw}"
        )
        st.table(step_rows(decision.steps), hide_index=True, border="horizontal")
        if decision.alternatives:
            st.caption("What one replica fewer and one more would give")
            rows = alternative_rows(decision.alternatives, desired=decision.desired)
            st.table(rows, hide_index=True, border="horizontal")
        else:
            st.caption("Nothing was predicted for other numbers of replicas.")


page("Decisions", show, every=None)  # a list that grows would slide from under the selection
