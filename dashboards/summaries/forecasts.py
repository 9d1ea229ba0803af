"""Forecasts against what came: what the journal says was expected, and the demand that arrived.

The demand is not in the journal, but everything that it follows from is: the observations of a run
are put through the same `decide` again, with the run's own settings.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeVar

from planner.core.decide import decide
from planner.core.encoding import decoded
from planner.core.plan import Decision, Reason
from planner.core.policy import PolicyConfig
from planner.core.profile import Profile
from planner.core.role import Role
from planner.core.state import PolicyState
from planner.errors import PlannerError
from planner.journal import Record, Run

T = TypeVar("T")
Rows = list[dict[str, object]]
_FORECASTS = (Reason.DEMAND_FORECAST, Reason.WITHIN_TOLERANCE)
LINES = ("came", "forecast", "with headroom")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What one decision expected, in replicas of work; wall clock."""

    made: float
    due: float
    replicas: float
    headroom: float


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One role: all that was expected, and the demand (at, replicas) that came."""

    expected: Sequence[Expected]
    came: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """How the forecasts of one role turned out. Shares are of the demand that came."""

    role: Role
    horizon_seconds: float
    judged: int
    error: float
    """Mean absolute error."""
    bias: float
    """Mean error; above 0 where the forecast was too high."""
    covered: float
    """Share of intervals whose demand was within forecast and headroom."""
    headroom: float
    """The latest."""


def policy_of(run: Run) -> tuple[PolicyConfig, Profile] | None:
    """Return how *run* decided; None where it did without a profile, or in another version."""
    config = run.config
    if not isinstance(config, Mapping) or not isinstance(config.get("profile"), Mapping):
        return None
    try:
        profile = Profile.from_dict(config["profile"], source=f"the profile of run {run.id}")
        return decoded(PolicyConfig, config["policy"]), profile
    except (ValueError, PlannerError):
        return None


def histories(
    records: Sequence[Record], config: PolicyConfig, profile: Profile
) -> dict[Role, History]:
    """Return what *records* of one run, oldest first, expected of each role and what came."""
    state = PolicyState()
    expected: dict[Role, list[Expected]] = {role: [] for role in config.roles}
    came: dict[Role, list[tuple[float, float]]] = {role: [] for role in config.roles}
    for record in records:
        observation, plan = record.entry.observation, record.entry.plan
        if observation is None:
            continue
        at = record.entry.at
        state, _ = decide(config, profile, state, observation)
        for role in config.roles:
            samples = state.role(role).demand.bursts
            if samples and samples[-1][0] == observation.at:
                came[role].append((at, samples[-1][1]))
            decision = plan.decisions.get(role) if plan else None
            told = _expected(decision, at) if decision else None
            if told is not None:
                expected[role].append(told)
    return {role: History(expected=expected[role], came=came[role]) for role in config.roles}


def _expected(decision: Decision, at: float) -> Expected | None:
    for step in decision.steps:
        if step.reason in _FORECASTS and "forecast_replicas" in step.inputs:
            return Expected(
                made=at,
                due=at + step.inputs["horizon_seconds"],
                replicas=step.inputs["forecast_replicas"],
                headroom=step.inputs["headroom"],
            )
    return None


def forecast_rows(history: History, *, most: int = 400) -> Rows:
    """Return the demand that came and, at the time that they were made for, the forecasts."""
    expected = _thinned(history.expected, most)
    lines = (
        ("came", _thinned(history.came, most)),
        ("forecast", [(one.due, one.replicas) for one in expected]),
        ("with headroom", [(one.due, one.replicas * one.headroom) for one in expected]),
    )
    return [
        {"at": round(at * 1e3), "series": name, "value": round(value, 4)}
        for name, points in lines
        for at, value in points
    ]


def headroom_rows(known: Mapping[Role, History], *, most: int = 400) -> Rows:
    """Return the headroom of each role over time."""
    return [
        {"at": round(one.made * 1e3), "series": role.value, "value": round(one.headroom, 4)}
        for role, history in known.items()
        for one in _thinned(history.expected, most)
    ]


def accuracy(role: Role, history: History) -> Accuracy | None:
    """Return how the forecasts of *role* turned out; None before the first came due."""
    due = [one.due for one in history.expected]
    pairs = [
        (history.expected[place], demand)
        for at, demand in history.came
        if (place := bisect_right(due, at) - 1) >= 0
    ]
    total = sum(demand for _, demand in pairs)
    if not total:
        return None
    errors = [one.replicas - demand for one, demand in pairs]
    latest = history.expected[-1]
    return Accuracy(
        role=role,
        horizon_seconds=latest.due - latest.made,
        judged=len(pairs),
        error=sum(map(abs, errors)) / total,
        bias=sum(errors) / total,
        covered=fmean(demand <= one.replicas * one.headroom for one, demand in pairs),
        headroom=latest.headroom,
    )


def _thinned(values: Sequence[T], most: int) -> Sequence[T]:
    return values[:: max(1, -(-len(values) // most))]
