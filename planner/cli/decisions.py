"""How decisions look on paper: in JSON, and in the lines that people read."""

from collections.abc import Mapping
from datetime import UTC, datetime

from planner.core.encoding import encoded
from planner.core.explain import sentence
from planner.core.plan import Decision, Gpus, Plan, Step
from planner.core.policy import Bounds
from planner.core.role import Role
from planner.core.units import format_share

Document = dict[str, object]


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
    """Return the line of one role: + more, - fewer, ~ held although the load asks for another."""
    sign = _sign(decision)
    if sign in "+-":
        by = decision.desired - decision.current
        return f"  {sign} {decision.role:<11}{change(decision)} replicas ({by:+d})"
    asked = f"no change; the load asks for {decision.raw}" if sign == "~" else "no change"
    return f"  {sign} {decision.role:<11}{decision.current}   ({asked})"


def _sign(decision: Decision) -> str:
    if decision.desired != decision.current:
        return "+" if decision.desired > decision.current else "-"
    return " " if decision.raw == decision.current else "~"


def moves(plan: Plan) -> tuple[int, int]:
    """Return how many replicas *plan* adds and how many it drains."""
    changes = [decision.desired - decision.current for decision in plan.decisions.values()]
    return sum(max(0, by) for by in changes), sum(max(0, -by) for by in changes)


def step_line(step: Step) -> str:
    """Return what one step did to the number, and why in a sentence."""
    moved = f"{step.before} -> {step.after}" if step.after != step.before else str(step.after)
    return f"      {moved:<11}{sentence(step)}"


def foreseen(decision: Decision) -> str:
    """Return "2: 97.1% $7.00/h, 3: 99.4% $10.50/h", what each number would give and cost.

    These are the number desired and its neighbours; nothing where nothing was predicted.
    """
    return ", ".join(
        f"{one.replicas}: {format_share(one.attainment)}"
        + ("" if one.cost_per_hour is None else f" ${one.cost_per_hour:.2f}/h")
        for one in decision.alternatives
    )


def foreseen_lines(decision: Decision) -> list[str]:
    """Return the line below a decision's steps that tells what is foreseen, if anything is."""
    told = foreseen(decision)
    return [f"      {'attains':<11}{told}"] if told else []


def spares_lines(spares: Mapping[Role, Step], bounds: Mapping[Role, Bounds]) -> list[str]:
    """Return what an operator is to know about a load that needs warm *spares*, if it does.

    Flags are for those roles whose minimum, of *bounds*, does not hold them anyway.
    """
    if not spares:
        return []
    held = " and ".join(
        f"{step.inputs['warm_spares']:.0f} of {step.after} {role} replicas"
        for role, step in spares.items()
    )
    flags = " ".join(
        f"--min {role}={step.after}"
        for role, step in spares.items()
        if bounds[role].minimum < step.after
    )
    advice = f"Demand rises faster than replicas start. To hold enough from the start: {flags}"
    return [f"This load needs warm spares: {held}", *([advice] if flags else [])]


def gpus_line(gpus: Gpus) -> str:
    """Return "GPUs 6 -> 7 of 8"."""
    counts = str(gpus.current)
    if gpus.desired != gpus.current:
        counts += f" -> {gpus.desired}"
    return f"GPUs {counts}" + ("" if gpus.budget is None else f" of {gpus.budget}")


def moment(at: float) -> str:
    """Return the wall time *at*, seconds since the epoch, as local date and time."""
    return datetime.fromtimestamp(at, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
