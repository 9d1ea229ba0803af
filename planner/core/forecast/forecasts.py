"""One series, what every member makes of it, and their forecast at the lead.

`seen` takes a value in, `expected` gives the forecast out, `members` tells what each member says
and how well it did. Nothing here knows what the series means: demand in replicas, usually.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from math import exp, inf

from planner.core.forecast.horizon import Horizon
from planner.core.forecast.level import Level
from planner.core.forecast.members import (
    MEMBERS,
    Member,
    MemberReport,
    Score,
    Values,
    relative_error,
    weights,
)
from planner.core.forecast.season import DAY_SECONDS, WEEK_SECONDS, Quarter, Season
from planner.core.forecast.trend import Trend
from planner.core.value import value

# Forecasts kept until their time comes, over one lead: more would judge hardly more often.
_PROMISES = 8
_DIGITS = 3
# No member is judged on forecasts from its first leads, when it knew nothing.
_WARM_UP_LEADS = 3.0
# Shares before any member was judged.
_EQUAL = (1.0,) * len(MEMBERS)


@value
class Forecasts:
    """What is remembered of one series, within 4 KiB as JSON; ``Forecasts()`` is blank."""

    seen_seconds: float = 0.0
    at: float = 0.0
    last: float = 0.0
    level: Level = field(default_factory=Level)
    trend: Trend = field(default_factory=Trend)
    quarter: Quarter = field(default_factory=Quarter)
    daily: Season = field(default_factory=lambda: Season.for_period(DAY_SECONDS))
    weekly: Season = field(default_factory=lambda: Season.for_period(WEEK_SECONDS))
    promises: tuple[tuple[float, Values], ...] = ()
    """(at, each member's forecast) whose time has not come."""
    scores: tuple[Score, ...] = (Score(),) * len(MEMBERS)
    shares: tuple[float, ...] = ()
    """Each member's share in the ensemble, by its score; empty before any was judged."""

    def __post_init__(self) -> None:
        """Raise ValueError for another number of members, as an old file may hold."""
        if len(self.scores) != len(MEMBERS):
            raise ValueError(f"{len(self.scores)} scores for {len(MEMBERS)} members")


def seen(
    state: Forecasts,
    *,
    at: float,
    seconds: float,
    value: float,
    horizon: Horizon,
    weight: float = 1.0,
) -> Forecasts:
    """Return *state* having seen *value* over the *seconds* (above 0) that end *at*.

    *at* is on a clock that goes on through restarts, or seasons lose their hour. An error at this
    value counts *weight*, such as the requests that arrived.
    """
    total = state.seen_seconds + seconds
    quarter = state.quarter.seen(at=at, seconds=seconds, value=value)
    ended = quarter.index != state.quarter.index
    after = Forecasts(
        seen_seconds=total,
        at=at,
        last=value,
        level=state.level.seen(
            at=at, seconds=seconds, value=value, seen_seconds=total, horizon=horizon
        ),
        trend=state.trend.seen(seconds=seconds, value=value, seen_seconds=total, horizon=horizon),
        quarter=quarter,
        daily=state.daily.seen(state.quarter) if ended else state.daily,
        weekly=state.weekly.seen(state.quarter) if ended else state.weekly,
        promises=state.promises,
        scores=state.scores,
        shares=state.shares,
    )
    return _promising(after, horizon, weight=weight)


def expected(state: Forecasts, *, horizon: Horizon, among: Sequence[Member] = MEMBERS) -> float:
    """Return the forecast one lead after the last value: by *among*, weighted by past errors."""
    total = known = 0.0
    for member, share in zip(MEMBERS, state.shares or _EQUAL, strict=True):
        if not share or member not in among:
            continue
        value = _value(state, member, horizon.lead_seconds)
        if value is not None:
            total += share * value
            known += share
    return total / known if known else state.level.value


def members(state: Forecasts, *, horizon: Horizon) -> Mapping[Member, MemberReport]:
    """Return what each member says, its share in an ensemble of all and its recent error."""
    values = _values(state, horizon.lead_seconds)
    shares = [
        0.0 if value is None else share
        for value, share in zip(values, state.shares or _EQUAL, strict=True)
    ]
    total = sum(shares)
    return {
        member: MemberReport(value=value, weight=share / total, error=relative_error(score))
        for member, value, share, score in zip(MEMBERS, values, shares, state.scores, strict=True)
    }


def without_past(state: Forecasts) -> Forecasts:
    """Return a blank that keeps the seasons and how well members did: for after a long gap."""
    return Forecasts(
        daily=state.daily, weekly=state.weekly, scores=state.scores, shares=state.shares
    )


def _values(state: Forecasts, ahead_seconds: float) -> Values:
    return tuple([_value(state, member, ahead_seconds) for member in MEMBERS])


def _value(state: Forecasts, member: Member, ahead_seconds: float) -> float | None:
    """Return what *member* says; a season says how the level will have changed."""
    match member:
        case Member.LAST:
            return state.last
        case Member.LEVEL:
            return state.level.value
        case Member.TREND:
            return state.trend.ahead(ahead_seconds)
        case Member.DAILY:
            change = state.daily.change(state.at, ahead_seconds)
        case Member.WEEKLY:
            change = state.weekly.change(state.at, ahead_seconds)
    return None if change is None else change * state.level.value


def _promising(state: Forecasts, horizon: Horizon, *, weight: float) -> Forecasts:
    """Return *state* having judged what was forecast for now, and remembering its forecasts.

    Itself where it did so a moment ago: more often would cost much and tell little.
    """
    if state.seen_seconds < _WARM_UP_LEADS * horizon.lead_seconds:
        return state
    since = state.at - state.promises[-1][0] if state.promises else inf
    if since < horizon.lead_seconds / _PROMISES:
        return state
    due, promises = _due(state.promises, state.at - horizon.lead_seconds)
    scores, shares = state.scores, state.shares
    if due is not None:
        fade = exp(-since / horizon.memory_seconds)
        scores = _judged(scores, due, value=state.last, weight=weight, fade=fade)
        shares = weights(scores)
    values = tuple(
        None if value is None else round(value, _DIGITS)
        for value in _values(state, horizon.lead_seconds)
    )
    kept = (*promises[-2 * _PROMISES :], (state.at, values))
    return replace(state, promises=kept, scores=scores, shares=shares)


def _due(
    promises: tuple[tuple[float, Values], ...], latest: float
) -> tuple[Values | None, tuple[tuple[float, Values], ...]]:
    """Return the newest forecasts made by *latest*, if any, and the promises still needed."""
    past = -1
    for index, (made, _) in enumerate(promises):
        if made > latest:
            break
        past = index
    return (None, promises) if past < 0 else (promises[past][1], promises[past:])


def _judged(
    scores: tuple[Score, ...], due: Values, *, value: float, weight: float, fade: float
) -> tuple[Score, ...]:
    return tuple(
        [
            score
            if forecast is None
            else score.judged(value=value, forecast=forecast, weight=weight, fade=fade)
            for score, forecast in zip(scores, due, strict=True)
        ]
    )
