"""Whole replicas and whole intervals, as exact arithmetic would count them."""

from math import ceil

# Quotients are off by less: 0.3 / 0.1 is not 3.
ROUNDING = 1e-9
# Clocks are off by less: an interval of 15 s is over after three of 5 s.
_CLOCK_SECONDS = 1e-6


def whole(replicas: float) -> int:
    """Return *replicas* rounded up, where more than a rounding error is over: 3.0000000001 is 3."""
    return ceil(replicas - ROUNDING)


def is_over(passed_seconds: float, interval_seconds: float) -> bool:
    """Return whether an interval is over after *passed_seconds*, as far as clocks can tell."""
    return passed_seconds >= interval_seconds - _CLOCK_SECONDS
