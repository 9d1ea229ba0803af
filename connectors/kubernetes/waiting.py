"""How long replicas have been awaited that do not come."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from connectors.kubernetes.api import Json
from connectors.kubernetes.objects import Member, Workload
from planner.core.role import Role

_NOT_CREATED = "its pods are not created"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """How many replicas of a role no longer count as coming."""

    nowhere: int = 0
    """Without a node, or not even created: they hold nothing."""
    placed: int = 0
    """Failing on their nodes: they hold their GPUs."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.nowhere + self.placed


class Waiting:
    """Tells which replicas have been in trouble for more than *seconds* on *clock*.

    The time counts from when they were first seen here, so that no other clock matters.
    """

    def __init__(self, *, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._since: dict[tuple[Role, str], float] = {}
        self._why: dict[Role, str] = {}

    def stuck(self, workload: Workload, members: Sequence[Member], item: Json | None) -> Stuck:
        """Return how many replicas that *workload* wants no longer count as coming."""
        role, staying = workload.role, [one for one in members if not one.is_leaving]
        troubled = {one.name: one for one in staying if one.trouble and not one.leaves}
        absent = max(0, workload.replicas - len(staying))
        # Another number asked for begins a wait of its own.
        lacking = f"{absent} of {workload.replicas}"
        late = self._late(role, {*troubled, *([lacking] if absent else [])})
        if lacking in late:
            self._why[role] = _failure(item) or _NOT_CREATED
        stuck = [troubled[name] for name in sorted(late & troubled.keys())]
        for one in stuck:
            self._why[role] = str(one.trouble)
        placed = sum(one.unplaced is None for one in stuck)
        nowhere = len(stuck) - placed + (absent if lacking in late else 0)
        return Stuck(nowhere=nowhere, placed=placed)

    def why(self, role: Role) -> str:
        """Return what the cluster said of those of *role* that were stuck last."""
        return self._why.get(role, "")

    def _late(self, role: Role, present: set[str]) -> set[str]:
        now, mine = self._clock(), {(role, name) for name in present}
        kept = {key: at for key, at in self._since.items() if key[0] is not role or key in mine}
        self._since = {**dict.fromkeys(mine, now), **kept}
        return {key[1] for key in mine if now - self._since[key] >= self._seconds}


def _failure(item: Json | None) -> str | None:
    for one in ((item or {}).get("status") or {}).get("conditions") or ():
        if one.get("type") == "ReplicaFailure" and one.get("status") == "True":
            return str(one.get("message"))
    return None
