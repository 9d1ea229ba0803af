"""How each forecaster would have done, at several horizons, on the demand that came.

The journal has only the forecasts that were used. The others are made again, each at its time and
from what was known then, by the same code.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isclose

from planner.core.forecast import (
    MEMBERS,
    Forecasts,
    Horizon,
    expected,
    members,
    seen,
    without_past,
)
from planner.core.units import format_duration, format_share

Rows = list[dict[str, object]]
Demand = Sequence[tuple[float, float]]
"""What came: (wall time, replicas of work), oldest first."""

HORIZONS = (60.0, 300.0, 900.0)
TOGETHER = "ensemble"
FEWEST = 20
"""Forecasts that must have come due for a mean of their errors to say something."""
_ALIKE = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """The errors of all forecasters at one horizon, as shares of the demand that came.

    One that knows nothing of the future yet, such as a season before its second day, is left out.
    """

    horizon_seconds: float
    judged: int
    errors: Mapping[str, float]
    """Mean absolute error by forecaster."""

    @property
    def leader(self) -> str:
        """Who was nearest."""
        return min(self.errors, key=lambda name: self.errors[name])


def judged_ahead(came: Demand, *, lead_seconds: float, interval_seconds: float) -> list[Ahead]:
    """Return how forecasters did at the planner's own lead and at `HORIZONS`, nearest first.

    Those for which too few forecasts have come due are left out.
    """
    others = [h for h in HORIZONS if not isclose(h, lead_seconds, rel_tol=_ALIKE)]
    found = [
        _ahead(came, horizon_seconds=horizon, interval_seconds=interval_seconds)
        for horizon in sorted([lead_seconds, *others])
        if horizon >= interval_seconds
    ]
    return [one for one in found if one is not None]


def _ahead(came: Demand, *, horizon_seconds: float, interval_seconds: float) -> Ahead | None:
    made = _made(came, horizon_seconds=horizon_seconds, interval_seconds=interval_seconds)
    moments = [at for at, _ in came]
    pairs = []
    for at, values in made:
        due = bisect_left(moments, at + horizon_seconds)
        # What is not there at that time was a gap in which nobody looked.
        if due < len(came) and moments[due] - at - horizon_seconds <= 2 * interval_seconds:
            pairs.append((values, came[due][1]))
    total = sum(demand for _, demand in pairs)
    if len(pairs) < FEWEST or not total:
        return None
    names = [name for name in made[0][1] if all(name in values for values, _ in pairs)]
    return Ahead(
        horizon_seconds=horizon_seconds,
        judged=len(pairs),
        errors={
            name: sum(abs(values[name] - demand) for values, demand in pairs) / total
            for name in names
        },
    )


def _made(
    came: Demand, *, horizon_seconds: float, interval_seconds: float
) -> list[tuple[float, dict[str, float]]]:
    """Return the forecasts of all at each time, from when one horizon has been seen on."""
    horizon = Horizon.of(lead_seconds=horizon_seconds, interval_seconds=interval_seconds)
    state = Forecasts()
    made = []
    before = came[0][0] - interval_seconds if came else 0.0
    for at, value in came:
        seconds = at - before
        if not 0 < seconds <= horizon.crest_seconds:
            state, seconds = without_past(state), interval_seconds
        before = at
        state = seen(state, at=at, seconds=seconds, value=value, horizon=horizon)
        if state.seen_seconds >= horizon_seconds:
            made.append((at, _forecasts(state, horizon)))
    return made


def _forecasts(state: Forecasts, horizon: Horizon) -> dict[str, float]:
    told = {
        member.value: report.value
        for member, report in members(state, horizon=horizon).items()
        if report.value is not None
    }
    return told | {TOGETHER: expected(state, horizon=horizon, among=MEMBERS)}


def error_rows(aheads: Sequence[Ahead]) -> Rows:
    """Return the points of each forecaster: error over minutes ahead."""
    return [
        {
            "x": round(one.horizon_seconds / 60, 3),
            "value": round(error, 4),
            "series": name,
            "told": f"{name}, {format_duration(one.horizon_seconds)} ahead",
        }
        for one in aheads
        for name, error in one.errors.items()
    ]


def ranking_rows(aheads: Sequence[Ahead]) -> Rows:
    """Return a row a forecaster, nearest at the shortest horizon first, with who leads marked."""
    if not aheads:
        return []
    names = sorted(aheads[0].errors, key=lambda name: aheads[0].errors[name])
    return [{"forecaster": name, **{_column(one): _told(one, name) for one in aheads}}
            for name in names]  # fmt: skip


def _column(one: Ahead) -> str:
    return f"{format_duration(one.horizon_seconds)} ahead"


def _told(one: Ahead, name: str) -> str:
    error = one.errors.get(name)
    if error is None:
        return "unknown"
    return format_share(round(error, 3)) + (" (leads)" if name == one.leader else "")
