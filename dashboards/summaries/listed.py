"""The rows of the list of decisions."""

from collections.abc import Sequence

from dashboards.reading.listing import Listed
from dashboards.reading.look import Look
from dashboards.summaries.words import clock
from planner.core.role import Role

Rows = list[dict[str, object]]


def listed_rows(listed: Sequence[Listed]) -> Rows:
    """Return a row for each of *listed*: when, what for each role, why, and what became of it."""
    present = {role for one in listed for role in one.look.roles}
    roles = [role for role in Role if role in present]
    return [
        {
            "id": one.look.id,
            "at": clock(one.look.at),
            **{role.value: _moved(one.look, role) for role in roles},
            "why": _why(one),
            "result": one.note or one.outcome or "",
        }
        for one in listed
    ]


def _moved(look: Look, role: Role) -> str:
    seen = look.roles.get(role)
    if seen is None or seen.desired is None:
        return ""
    return (
        str(seen.desired) if seen.desired == seen.current else f"{seen.current} -> {seen.desired}"
    )


def _why(one: Listed) -> str:
    return ", ".join(f"{role}: {reason}" for role, reason in sorted(one.reasons))
