"""Forecasts of one series at the lead: members, their weights by past errors, their ensemble."""

from planner.core.forecast.forecasts import Forecasts, expected, members, seen, without_past
from planner.core.forecast.horizon import Horizon
from planner.core.forecast.members import MEMBERS, Member, MemberReport

__all__ = [
    "MEMBERS",
    "Forecasts",
    "Horizon",
    "Member",
    "MemberReport",
    "expected",
    "members",
    "seen",
    "without_past",
]
