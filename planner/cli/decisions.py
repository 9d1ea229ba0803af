"""How decisions look on paper: in JSON, and in the lines that people read."""

from datetime import UTC, datetime

from planner.core.encoding import encoded
from planner.core.explain import sentence
from planner.core.plan import Decision, Gpus, Plan, Step
from planner.core.sla import Sla

Document = dict[str, object]


def sla_document(sla: Sla) -> Document:
    """Return *sla* with its targets in milliseconds, None where one is not judged."""
    return {
        "ttft_ms": _milliseconds(sla.ttft_seconds),
        "itl_ms": _milliseconds(sla.itl_seconds),
        "attainment": sla.attainment,
    }


def plan_document(plan: Plan) -> Document:
    """Return *plan* with one entry a role; costs are an hour's."""
    return {
        "decisions": [encoded(decision) for decision in plan.decisions.values()],
        "gpus": encoded(plan.gpus),
        "cost_per_hour": plan.cost_per_hour,
        "attainment": plan.attainment,
    }


def change(decision: Decision) -> str:
    """Return "2 -> 3", or "4" when the number stays."""
    if decision.desired == decision.current:
        return str(decision.current)
    return f"{decision.current} -> {decision.desired}"


def decision_line(decision: Decision) -> str:
    """Return the line of one role, marked with ~ where the number changes."""
    if decision.desired == decision.current:
        return f"    {decision.role:<11}{decision.current}   (no change)"
    return f"  ~ {decision.role:<11}{change(decision)} replicas"


def step_line(step: Step) -> str:
    """Return what one step did to the number, and why in a sentence."""
    moved = f"{step.before} -> {step.after}" if step.after != step.before else str(step.after)
    return f"      {moved:<11}{sentence(step)}"


def gpus_line(gpus: Gpus) -> str:
    """Return "GPUs 6 -> 7 of 8"."""
    counts = str(gpus.current)
    if gpus.desired != gpus.current:
        counts += f" -> {gpus.desired}"
    return f"GPUs {counts}" + ("" if gpus.budget is None else f" of {gpus.budget}")


def moment(at: float) -> str:
    """Return the wall time *at*, seconds since the epoch, as local date and time."""
    return datetime.fromtimestamp(at, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 6)
