"""What a caller asks of a connector, checked once for all of them."""

from collections.abc import Collection, Mapping

from planner.core.observation import Replicas
from planner.core.role import Role
from planner.errors import ScaleRejected


def check_desired(desired: Mapping[Role, int], known: Collection[Role]) -> None:
    """Raise ScaleRejected for a negative number, or for replicas of a role not in *known*."""
    for role, count in desired.items():
        if count < 0:
            raise ScaleRejected(f"{role}: cannot have {count} replicas, the least is 0")
        if count and role not in known:
            raise ScaleRejected(
                f"{role}: asked for {count} replicas, but this deployment has no such role",
                hint=f"its roles are {', '.join(sorted(known))}",
            )


def differences(desired: Mapping[Role, int], fleet: Mapping[Role, Replicas]) -> Mapping[Role, int]:
    """Return by how many replicas each role is to grow (or shrink, below 0), only if it is."""
    changes = {role: count - fleet.get(role, Replicas()).current for role, count in desired.items()}
    return {role: change for role, change in changes.items() if change}
