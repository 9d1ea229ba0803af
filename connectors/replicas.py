"""Which replica to start next and which to drain: pure choices that connectors share."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from planner.core.role import Role

_NAME = re.compile(rf"(?P<role>{'|'.join(Role)})-(?P<index>[1-9][0-9]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One replica that serves or will serve, as far as the choice of a victim cares."""

    name: str
    is_ready: bool
    in_flight: int | None = None
    """Requests it serves; None when nobody knows."""


def replica_name(role: Role, index: int) -> str:
    """Return the name of the *index*-th replica, counted from 1, such as ``decode-2``."""
    return f"{role.value}-{index}"


def replica_role(name: str) -> Role | None:
    """Return the role in a replica's name, or None when *name* is not a replica's."""
    match = _NAME.fullmatch(name)
    return None if match is None else Role(match["role"])


def replica_index(name: str) -> int:
    """Return the index in a replica's name, 0 for any other one."""
    match = _NAME.fullmatch(name)
    return int(match["index"]) if match else 0


def free_names(role: Role, taken: Collection[str], count: int) -> list[str]:
    """Return *count* names with the lowest indexes that nobody in *taken* has."""
    names: list[str] = []
    index = 1
    while len(names) < count:
        name = replica_name(role, index)
        if name not in taken:
            names.append(name)
        index += 1
    return names


def victims(replicas: Iterable[Replica], count: int) -> list[str]:
    """Return the names of the *count* replicas whose loss hurts least.

    Those that do not serve yet go first, then the idlest. A replica whose load is unknown goes
    last, since it may be the busiest; among equals the highest index goes.
    """
    return [replica.name for replica in sorted(replicas, key=_worth)[:count]]


def _worth(replica: Replica) -> tuple[bool, bool, int, int]:
    unknown = replica.in_flight is None
    return (
        replica.is_ready,
        replica.is_ready and unknown,
        replica.in_flight or 0,
        -replica_index(replica.name),
    )
