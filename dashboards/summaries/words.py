"""Decisions in words, the same that the command line uses."""

from collections.abc import Sequence
from datetime import UTC, datetime

from planner.core.explain import explain, sentence
from planner.core.plan import Alternative, Decision, Step
from planner.core.units import format_share
from planner.journal import Record

Rows = list[dict[str, object]]


def change(decision: Decision) -> str:
    """Return "2 -> 3", or "4, no change" when the number stays."""
    if decision.desired == decision.current:
        return f"{decision.current}, no change"
    return f"{decision.current} -> {decision.desired}"


def plan_sentence(record: Record) -> str:
    """Return what a decision did for each role and why, in one sentence a role."""
    entry = record.entry
    told = [] if entry.plan is None else [
        f"{role} {change(decision)}: {explain(decision)}"
        for role, decision in entry.plan.decisions.items()
    ]  # fmt: skip
    if entry.note:
        told.append(entry.note)
    return f"Decision {record.id} at {clock(entry.at)}. " + (
        ". ".join(told) + "." if told else "Nothing was seen; the fleet is held."
    )


def clock(at: float) -> str:
    """Return the wall time *at*, seconds since the epoch, as local date and time."""
    return datetime.fromtimestamp(at, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def step_rows(steps: Sequence[Step]) -> Rows:
    """Return a row a step: what it did to the number, why in a sentence, and its figures."""
    return [
        {
            "replicas": f"{step.before} -> {step.after}"
            if step.after != step.before
            else str(step.after),
            "why": sentence(step),
            "inputs": ", ".join(f"{name} {value:.4g}" for name, value in step.inputs.items()),
        }
        for step in steps
    ]


def alternative_rows(alternatives: Sequence[Alternative], *, desired: int) -> Rows:
    """Return a row for each number of replicas that was weighed: what it would give and cost."""
    return [
        {
            "replicas": str(one.replicas) + (" (chosen)" if one.replicas == desired else ""),
            "attainment": format_share(one.attainment),
            "cost per hour": "unknown"
            if one.cost_per_hour is None
            else f"${one.cost_per_hour:,.2f}",
        }
        for one in alternatives
    ]
