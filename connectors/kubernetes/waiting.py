"""How long replicas have been awaited that the cluster cannot give."""

from collections.abc import Callable

from connectors.kubernetes.api import Json
from connectors.kubernetes.objects import Member, Workload
from planner.core.role import Role

_NOT_CREATED = "its pods are not created"


class Waiting:
    """Tells which replicas have been unplaced for more than *seconds* on *clock*.

    The time counts from when they were first seen here, so that no other clock matters.
    """

    def __init__(self, *, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._since: dict[tuple[Role, str], float] = {}
        self._why: dict[Role, str] = {}

    def stuck(self, workload: Workload, members: list[Member], item: Json | None) -> int:
        """Return how many replicas that *workload* wants no longer count as coming."""
        now, role = self._clock(), workload.role
        unplaced = {m.name: m.unplaced for m in members if m.unplaced and not m.is_leaving}
        absent = max(0, workload.replicas - sum(not m.is_leaving for m in members))
        # Another number asked for begins a wait of its own.
        lacking = f"{absent} of {workload.replicas}"
        present = {(role, name) for name in unplaced} | ({(role, lacking)} if absent else set())
        kept = {k: v for k, v in self._since.items() if k[0] is not role or k in present}
        self._since = {**dict.fromkeys(present, now), **kept}
        late = {k[1] for k in present if now - self._since[k] >= self._seconds}
        if lacking in late:
            self._why[role] = _failure(item) or _NOT_CREATED
        for name in sorted(late & unplaced.keys()):
            self._why[role] = str(unplaced[name])
        return len(late & unplaced.keys()) + (absent if lacking in late else 0)

    def why(self, role: Role) -> str:
        """Return what the cluster said of those of *role* that were stuck last."""
        return self._why.get(role, "")


def _failure(item: Json | None) -> str | None:
    for one in ((item or {}).get("status") or {}).get("conditions") or ():
        if one.get("type") == "ReplicaFailure" and one.get("status") == "True":
            return str(one.get("message"))
    return None
