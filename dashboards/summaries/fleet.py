"""The fleet over time: replicas by state beside the number decided on, and what changed it."""

from collections.abc import Iterable, Sequence

from dashboards.reading.look import Look, RoleLook
from planner.core.role import Role

Rows = list[dict[str, object]]
STATES = ("desired", "ready", "starting", "draining")


def roles_of(looks: Iterable[Look]) -> list[Role]:
    """Return the roles that any of *looks* knows, in a fixed order."""
    known = {role for look in looks for role in look.roles}
    return [role for role in Role if role in known]


def replica_rows(looks: Sequence[Look], role: Role) -> Rows:
    """Return the replicas of *role* by state whenever one changed; unknown ones leave a gap."""
    rows: Rows = []
    for state in STATES:
        values = [(look.at, _count(look.roles.get(role), state)) for look in looks]
        if state in ("starting", "draining") and not any(value for _, value in values):
            continue
        rows.extend(
            {"at": round(at * 1e3), "series": state, "value": value} for at, value in _moves(values)
        )
    return rows


def _count(seen: RoleLook | None, state: str) -> int | None:
    if seen is None:
        return None
    value: int | None = getattr(seen, state)
    return value


def _moves(
    values: Sequence[tuple[float, float | None]],
) -> Iterable[tuple[float, float | None]]:
    """Yield the values that differ from the one before, and the last, where the line ends."""
    before: object = object()
    for place, (at, value) in enumerate(values):
        if value != before or place == len(values) - 1:
            yield at, value
        before = value


def gpu_rows(looks: Sequence[Look]) -> Rows:
    """Return the GPUs of the fleet, and those decided on, whenever they changed."""
    return [
        {"at": round(at * 1e3), "series": name, "value": value}
        for name, of in (("decided", "gpus_desired"), ("held", "gpus"))
        for at, value in _moves([(look.at, getattr(look, of)) for look in looks])
    ]


def change_rows(changed: Iterable[Look], role: Role) -> Rows:
    """Return a mark for each of *changed* that moved *role*, with what a pointer reads there."""
    rows: Rows = []
    for look in changed:
        seen = look.roles.get(role)
        if seen is None or seen.desired is None or seen.desired == seen.current:
            continue
        told = f"decision {look.id}: {role} {seen.current} -> {seen.desired}"
        rows.append({"at": round(look.at * 1e3), "told": told})
    return rows
