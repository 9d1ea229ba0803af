"""What callers have at hand, as what the core takes: names, paths, texts, or the values."""

from collections.abc import Mapping
from pathlib import Path

from planner.core.profile import Profile
from planner.core.role import Role
from planner.core.sla import Sla
from planner.profiles import load_profile

ProfileLike = Profile | str | Path
"""A loaded profile, the name of a bundled one, or the path of a file."""
SlaLike = Sla | str
"""Targets as a value or as text: ``ttft=200ms,itl=20ms,attainment=99%``."""
FleetLike = Mapping[Role, int] | Mapping[str, int]
"""Replicas by role, or by the name of a role."""


def as_profile(profile: ProfileLike) -> tuple[Profile, str]:
    """Return the profile and how it was called; raises ProfileError."""
    if isinstance(profile, Profile):
        return profile, profile.name
    return load_profile(profile), str(profile)


def as_sla(sla: SlaLike) -> Sla:
    """Return the SLA; raises ConfigError for a text that is none."""
    return sla if isinstance(sla, Sla) else Sla.parse(sla, what="sla")
