"""The fleet with which a simulation begins, as flags give it."""

from collections.abc import Mapping
from typing import Any

from planner.core.role import Role
from planner.errors import ConfigError


def given_fleet(given: Mapping[str, Any]) -> dict[Role, int]:
    """Return the replicas that flags ask for at the start; empty when none is given.

    Raises ConfigError for half a fleet and for two kinds at once.
    """
    fleet = {role: given[role] for role in Role if given[role] is not None}
    if Role.AGGREGATED in fleet and len(fleet) > 1:
        raise ConfigError(
            "--aggregated with --prefill or --decode: a fleet is one or the other",
            hint="leave one of them out",
        )
    if len(fleet) == 1 and Role.AGGREGATED not in fleet:
        (role,) = fleet
        other = Role.DECODE if role is Role.PREFILL else Role.PREFILL
        raise ConfigError(
            f"--{role} {fleet[role]}: --{other} is missing",
            hint=f"--{role} {fleet[role]} --{other} 1",
        )
    return fleet
