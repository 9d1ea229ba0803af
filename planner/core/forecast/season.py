"""What time of day, or of the week, does to a series: its level in every quarter of an hour.

A forecast takes the change from now to then out of it and leaves the present level to others, so
a season learned in a quiet week serves a busy one.
"""

from math import exp, log

from planner.core.value import value

DAY_SECONDS = 86400.0
WEEK_SECONDS = 7 * DAY_SECONDS
SLOT_SECONDS = 900.0

# A level is two digits of base 64 on a scale of logarithms: 672 numbers would weigh 5 KiB as JSON.
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
_POSITION = {digit: index for index, digit in enumerate(_DIGITS)}
_UNKNOWN = ".."
_STEP = 0.005  # 0.5 %: from 1e-4 to 7.8e4
_LEAST = 1e-4
_MOST_CODE = len(_DIGITS) ** 2 - 1

# How much the newest period counts, and how far a season may move a forecast.
_GAIN = 0.3
_MOST_CHANGE = 4.0


@value
class Quarter:
    """The quarter of an hour that goes on, which no season knows yet."""

    index: int = 0
    """Quarters since the clock's zero."""
    total: float = 0.0
    """Sum of value times seconds in it."""
    seconds: float = 0.0

    def seen(self, *, at: float, seconds: float, value: float) -> "Quarter":
        """Return the quarter of *at* having seen *value* over the *seconds* that end then."""
        index = int((at - seconds) // SLOT_SECONDS)
        if index != self.index:
            return Quarter(index=index, total=value * seconds, seconds=seconds)
        return Quarter(
            index=index, total=self.total + value * seconds, seconds=self.seconds + seconds
        )

    @property
    def mean(self) -> float | None:
        """Its mean; None unless half of it was seen."""
        return None if self.seconds < SLOT_SECONDS / 2 else self.total / self.seconds


@value
class Season:
    """The usual level of each slot of a period; `for_period` makes a blank one."""

    period_seconds: float
    levels: str
    """Two digits a slot."""

    def __post_init__(self) -> None:
        """Raise ValueError for another number of slots, as an old file may hold."""
        if len(self.levels) * SLOT_SECONDS != 2 * self.period_seconds:
            raise ValueError(f"{len(self.levels)} digits for a season of {self.period_seconds:g} s")

    @classmethod
    def for_period(cls, seconds: float) -> "Season":
        """Return the season of that period, a multiple of 15 minutes, before anything was seen."""
        return cls(period_seconds=seconds, levels=_UNKNOWN * round(seconds / SLOT_SECONDS))

    def seen(self, quarter: Quarter) -> "Season":
        """Return the season having seen *quarter* end; itself where too little of that was seen."""
        mean = quarter.mean
        if mean is None:
            return self
        slot = quarter.index % (len(self.levels) // 2)
        level = log(max(mean, _LEAST) / _LEAST)
        usual = self._log_of(slot)
        if usual is not None:
            level = usual + _GAIN * (level - usual)
        code = min(_MOST_CODE, round(level / _STEP))
        digits = _DIGITS[code // len(_DIGITS)] + _DIGITS[code % len(_DIGITS)]
        return Season(
            period_seconds=self.period_seconds,
            levels=self.levels[: 2 * slot] + digits + self.levels[2 * slot + 2 :],
        )

    def change(self, at: float, ahead_seconds: float) -> float | None:
        """Return the usual factor from *at* to *ahead_seconds* later, 1/4 to 4.

        None where a slot was never seen, so throughout the first period.
        """
        now, then = self._log_level(at), self._log_level(at + ahead_seconds)
        if now is None or then is None:
            return None
        return min(_MOST_CHANGE, max(1 / _MOST_CHANGE, exp(then - now)))

    def _log_level(self, at: float) -> float | None:
        """Return the level *at*, on the line between the middles of the two nearest slots."""
        position = at % self.period_seconds / SLOT_SECONDS - 0.5
        first = int(position // 1)
        share = position - first
        before, after = self._log_of(first), self._log_of(first + 1)
        if before is None or after is None:
            return None
        return before + share * (after - before)

    def _log_of(self, slot: int) -> float | None:
        start = 2 * slot % len(self.levels)
        high = _POSITION.get(self.levels[start])
        if high is None:
            return None
        return (len(_DIGITS) * high + _POSITION[self.levels[start + 1]]) * _STEP
