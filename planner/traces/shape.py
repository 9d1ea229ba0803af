"""Other loads from a recorded one: parts of it, more or less of it, and time running differently.

Lengths and their order in the burst structure stay real; only time and volume are bent.
"""

import numpy as np

from planner.errors import ConfigError
from planner.traces.trace import Floats, Trace

JITTER_SECONDS = 5.0
"""How far a repeated request moves at most, either way."""


def window(trace: Trace, *, start: float, duration: float) -> Trace:
    """Return the requests of [start, start + duration) seconds, with *start* as the new 0."""
    _require_positive("window duration", duration, hint="--head 5m")
    t = trace.arrival_seconds
    chosen = (t >= start) & (t < start + duration)
    return trace.rows(chosen, t[chosen] - start)


def head(trace: Trace, duration: float) -> Trace:
    """Return the first *duration* seconds."""
    return window(trace, start=0.0, duration=duration)


def speed(trace: Trace, times: float) -> Trace:
    """Return *trace* replayed *times* as fast."""
    _require_positive("speed", times, hint="--speed 2")
    return trace.rows(np.arange(len(trace)), trace.arrival_seconds / times)


def thin(trace: Trace, *, share: float, rng: np.random.Generator) -> Trace:
    """Return a random *share* (0 to 1] of the requests, at their own times."""
    if not 0 < share <= 1:
        raise ConfigError(f"share of a trace {share:g}: must be above 0 and at most 1", hint="0.5")
    chosen = rng.random(len(trace)) < share
    return trace.rows(chosen, trace.arrival_seconds[chosen])


def amplify(trace: Trace, times: int, *, rng: np.random.Generator) -> Trace:
    """Return *times* as many requests: the trace and jittered copies of it.

    Each copied request moves by up to 5 s either way, so copies add up to a heavier load with
    the same slow shape instead of arriving in step. Copies share no prefix with the original.
    """
    if times < 1:
        raise ConfigError(f"amplify {times}: must be at least 1", hint="--amplify 2")
    t = trace.arrival_seconds
    jitter = rng.uniform(-JITTER_SECONDS, JITTER_SECONDS, size=(times - 1, len(trace)))
    end = trace.duration_seconds
    moved = [reflected(t + shift, end=end) for shift in jitter]
    arrivals = np.concatenate([t, *moved])
    order = np.argsort(arrivals, kind="stable")
    return _copies(trace, times).rows(order, arrivals[order])


def swing(trace: Trace, *, low: float, high: float, period: float) -> Trace:
    """Return *trace* replayed at a speed that swings between *low* and *high* times real time.

    The speed starts at *low*, is *high* half a *period* (seconds of the replay) later, and
    follows a cosine between: a day of traffic, compressed.
    """
    _require_positive("swing", low, hint="--swing 1:6")
    _require_positive("swing period", period, hint="--period 180s")
    if high < low:
        raise ConfigError(
            f"swing {low:g}:{high:g}: the second speed must be at least the first",
            hint=f"--swing {high:g}:{low:g}",
        )
    everything = np.arange(len(trace))
    return trace.rows(everything, _unswung(trace.arrival_seconds, low, high, period))


def _unswung(recorded: Floats, low: float, high: float, period: float) -> Floats:
    """Return when the replay reaches each *recorded* time: inverts the integral of the speed."""
    mean, amplitude, turn = (low + high) / 2, (high - low) / 2, 2 * np.pi / period
    # recorded = mean*t - amplitude/turn*sin(turn*t), so t is within amplitude/turn/mean of this:
    lower = (recorded - amplitude / turn) / mean
    upper = (recorded + amplitude / turn) / mean
    for _ in range(64):  # halves the bracket until it is below a float's precision
        t = (lower + upper) / 2
        early = mean * t - amplitude / turn * np.sin(turn * t) < recorded
        lower, upper = np.where(early, t, lower), np.where(early, upper, t)
    return upper


def reflected(t: Floats, *, end: float) -> Floats:
    """Return times before 0 or after *end* mirrored inside: no crowd gathers at the edges."""
    return np.clip(end - np.abs(end - np.abs(t)), 0.0, end)


def _copies(trace: Trace, times: int) -> Trace:
    ids = trace.hash_ids
    if ids is not None:
        own = 1 + max((i for row in ids for i in row), default=0)
        ids = tuple(tuple(i + copy * own for i in row) for copy in range(times) for row in ids)
    return Trace(
        name=trace.name,
        arrival_seconds=np.tile(trace.arrival_seconds, times),
        isl=np.tile(trace.isl, times),
        osl=np.tile(trace.osl, times),
        hash_ids=ids,
    )


def _require_positive(what: str, value: float, *, hint: str) -> None:
    if not value > 0 or not np.isfinite(value):
        raise ConfigError(f"{what} {value:g}: must be a finite number above 0", hint=hint)
