"""One series, what every member makes of it, and their forecast at the lead.

`seen` takes a value in, `expected` gives the forecast out, `members` tells what each member says
and how well it did. Nothing here knows what the series means: demand in replicas, usually.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from math import exp

from planner.core.forecast.horizon import Horizon
from planner.core.forecast.level import Level
from planner.core.forecast.members import (
    DEFAULT,
    MEMBERS,
    Member,
    MemberReport,
    Score,
    Values,
    relative_error,
    weights,
)
from planner.core.forecast.season import DAY_SECONDS, WEEK_SECONDS, Season
from planner.core.forecast.trend import Trend
from planner.core.value import value

# Forecasts kept until their time comes, over one lead: more would judge hardly more often.
_PROMISES = 8
_DIGITS = 3
# No member is judged on forecasts from its first leads, when it knew nothing.
_WARM_UP_LEADS = 3.0


@value
class Forecasts:
    """What is remembered of one series, within 4 KiB as JSON; ``Forecasts()`` is blank."""

    seen_seconds: float = 0.0
    at: float = 0.0
    last: float = 0.0
    level: Level = field(default_factory=Level)
    trend: Trend = field(default_factory=Trend)
    daily: Season = field(default_factory=lambda: Season.for_period(DAY_SECONDS))
    weekly: Season = field(default_factory=lambda: Season.for_period(WEEK_SECONDS))
    promises: tuple[tuple[float, Values], ...] = ()
    """(at, each member's forecast) whose time has not come."""
    scores: tuple[Score, ...] = (Score(),) * len(MEMBERS)

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
    due, promises = _due(state.promises, at - horizon.lead_seconds)
    scores = state.scores
    if due is not None:
        fade = exp(-seconds / horizon.memory_seconds)
        scores = _judged(scores, due, value=value, weight=weight, fade=fade)
    total = state.seen_seconds + seconds
    after = Forecasts(
        seen_seconds=total,
        at=at,
        last=value,
        level=state.level.seen(
            at=at, seconds=seconds, value=value, seen_seconds=total, horizon=horizon
        ),
        trend=state.trend.seen(seconds=seconds, value=value, seen_seconds=total, horizon=horizon),
        daily=state.daily.seen(at=at, seconds=seconds, value=value),
        weekly=state.weekly.seen(at=at, seconds=seconds, value=value),
        promises=promises,
        scores=scores,
    )
    return _promising(after, horizon)


def level_seen(
    state: Forecasts, *, at: float, seconds: float, value: float, horizon: Horizon
) -> Forecasts:
    """Return what `seen` does where the level alone is asked: the other members stay behind."""
    total = state.seen_seconds + seconds
    return Forecasts(
        seen_seconds=total,
        at=at,
        last=value,
        level=state.level.seen(
            at=at, seconds=seconds, value=value, seen_seconds=total, horizon=horizon
        ),
        trend=state.trend,
        daily=state.daily,
        weekly=state.weekly,
        promises=state.promises,
        scores=state.scores,
    )


def expected(state: Forecasts, *, horizon: Horizon, among: Sequence[Member] = DEFAULT) -> float:
    """Return the forecast one lead after the last value: by *among*, weighted by past errors."""
    if among == DEFAULT:
        return state.level.value
    if len(among) == 1:
        value = _value(state, among[0], horizon.lead_seconds)
        return state.level.value if value is None else value
    values = tuple(
        _value(state, member, horizon.lead_seconds) if member in among else None
        for member in MEMBERS
    )
    shares = weights(values, state.scores)
    return sum(share * (value or 0.0) for share, value in zip(shares, values, strict=True))


def members(state: Forecasts, *, horizon: Horizon) -> Mapping[Member, MemberReport]:
    """Return what each member says, its share in an ensemble of all and its recent error."""
    values = _values(state, horizon.lead_seconds)
    shares = weights(values, state.scores)
    return {
        member: MemberReport(value=value, weight=share, error=relative_error(score))
        for member, value, share, score in zip(MEMBERS, values, shares, state.scores, strict=True)
    }


def without_past(state: Forecasts) -> Forecasts:
    """Return a blank that keeps the seasons and how well members did: for after a long gap."""
    return Forecasts(daily=state.daily, weekly=state.weekly, scores=state.scores)


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


def _promising(state: Forecasts, horizon: Horizon) -> Forecasts:
    """Return *state* remembering its forecasts, unless it did so a moment ago."""
    if state.seen_seconds < _WARM_UP_LEADS * horizon.lead_seconds:
        return state
    if state.promises and state.at - state.promises[-1][0] < horizon.lead_seconds / _PROMISES:
        return state
    values = tuple(
        None if value is None else round(value, _DIGITS)
        for value in _values(state, horizon.lead_seconds)
    )
    kept = state.promises[-2 * _PROMISES :]
    return replace(state, promises=(*kept, (state.at, values)))


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
