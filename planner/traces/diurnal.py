"""How the load of a service follows the hours: its share of the day's peak."""

import numpy as np

from planner.traces.trace import Floats

WEEK_HOURS = 168.0

# Hours and shares of the peak. People work: up from seven to eleven, a dip at lunch, down after
# six, a second life at nine in the evening, and a quarter of the peak in the small hours.
_WEEKDAY = (
    (0.0, 0.40),
    (2.0, 0.29),
    (4.0, 0.25),
    (6.0, 0.32),
    (7.0, 0.42),
    (9.0, 0.85),
    (11.0, 1.00),
    (12.5, 0.86),
    (14.5, 0.99),
    (16.5, 0.95),
    (18.5, 0.68),
    (21.0, 0.64),
    (22.5, 0.55),
    (24.0, 0.40),
)
# Later, flatter and about half as high.
_WEEKEND = (
    (0.0, 0.40),
    (3.0, 0.28),
    (6.0, 0.24),
    (9.0, 0.34),
    (12.0, 0.50),
    (16.0, 0.52),
    (20.0, 0.56),
    (22.0, 0.50),
    (24.0, 0.40),
)


def day_share(hour: Floats) -> Floats:
    """Return the load at each *hour* of a working day as a share of the peak; days repeat."""
    return _through(_WEEKDAY, hour)


def week_share(hour: Floats, levels: Floats) -> Floats:
    """Return the load at each *hour* since Monday 0:00; *levels* scale the seven days.

    Levels pass into one another over the night, so that no midnight is a cliff.
    """
    day = hour / 24 % 7
    shape = np.where(day < 5, _through(_WEEKDAY, hour), _through(_WEEKEND, hour))
    noons = np.arange(-1, 8) + 0.5
    level: Floats = np.interp(day, noons, np.take(levels, np.arange(-1, 8), mode="wrap"))
    return shape * level


def _through(points: tuple[tuple[float, float], ...], hour: Floats) -> Floats:
    hours, shares = zip(*points, strict=True)
    share: Floats = np.interp(hour % 24, hours, shares)
    return share
