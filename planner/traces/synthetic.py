"""Loads that no recording has: a service's day and week built from an hour of it, and a sine.

Real recordings are short. What a planner is judged by, the night and the morning, is added here;
lengths and bursts stay those of the recording.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from planner.errors import ConfigError, TraceError
from planner.traces.diurnal import WEEK_HOURS, day_share, week_share
from planner.traces.shape import JITTER_SECONDS, reflected
from planner.traces.trace import Floats, Ints, Trace

_BLOCK_SECONDS = 300.0
"""Longer than a burst and its aftermath."""
_FEWEST_BLOCKS = 12
"""What an hour gives; shorter recordings are cut finer, or tenants would repeat in step."""

_Share = Callable[[Floats], Floats]
"""Returns the load at each hour as a share of the peak."""


def weekday(
    base: Trace,
    *,
    seed: int,
    hours: float = 24.0,
    squeeze: float = 4.0,
    peak_rps: float = 250.0,
    tenants: int = 4,
) -> Trace:
    """Return a working day of a service whose *tenants* each behave as *base* was recorded.

    Every tenant replays *base* in blocks of up to five minutes in an order of its own; how often a
    recorded request is repeated follows the time of day (`day_share`), from midnight on. Each
    tenant fluctuates around that curve as the recording does around its mean; the sum of
    independent ones does so by the root of their number less.

    Only the curve is *squeeze* times faster than real (24 h take 6 h, so that a day can be
    simulated in seconds); bursts and lengths run in real time. The default peak is what about 15
    small GPUs serve, enough for one replica more or less to be a choice and not a jump; four
    tenants fluctuate half as much as one. Prefixes are left out: repeating a recording would make
    up cache hits. Raises ConfigError for a value out of range, TraceError for an empty *base*.
    """
    curve = _Curve(share=day_share, hours=hours, squeeze=squeeze, peak_rps=peak_rps)
    return _service(base, curve, seed=seed, tenants=tenants, name="weekday")


def week(
    base: Trace,
    *,
    seed: int,
    squeeze: float = 28.0,
    peak_rps: float = 250.0,
    tenants: int = 4,
) -> Trace:
    """Return Monday to Sunday of the service in `weekday`; the weekend has a curve of its own.

    No two days are alike: each one's level is its own, within a tenth. A week takes 6 h unless
    told: seven days of 51 minutes. Raises what `weekday` raises.
    """
    levels = np.random.default_rng([seed, 1]).uniform(0.9, 1.1, size=7)
    share = partial(week_share, levels=levels)
    curve = _Curve(share=share, hours=WEEK_HOURS, squeeze=squeeze, peak_rps=peak_rps)
    return _service(base, curve, seed=seed, tenants=tenants, name="week")


def sine(
    lengths: Trace | tuple[int, int] = (3000, 300),
    *,
    seed: int,
    low: float = 5.0,
    high: float = 45.0,
    period: float = 600.0,
    duration: float = 3600.0,
) -> Trace:
    """Return Poisson arrivals whose rate swings from *low* to *high* requests a second and back.

    It starts at *low*; *period* and *duration* are seconds. The lengths are (isl, osl), or drawn
    from the requests of a trace. The defaults are the load that Dynamo's planner is shown with.
    """
    _check("sine low rate", low, least=0.0)
    _check("sine high rate", high, least=max(low, 1e-9))
    _check("sine period", period, least=1e-3)
    _check("sine duration", duration, least=1e-3)
    rng = np.random.default_rng(seed)
    arrivals = np.sort(rng.uniform(0.0, duration, size=rng.poisson(high * duration)))
    rate = (high + low) / 2 - (high - low) / 2 * np.cos(2 * np.pi / period * arrivals)
    arrivals = arrivals[rng.random(len(arrivals)) * high < rate]
    isl, osl = _lengths(lengths, len(arrivals), rng)
    return Trace(name=f"sine, seed {seed}", arrival_seconds=arrivals, isl=isl, osl=osl)


def _lengths(
    lengths: Trace | tuple[int, int], count: int, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    if isinstance(lengths, Trace):
        drawn = rng.integers(0, len(lengths), size=count)
        return lengths.isl[drawn], lengths.osl[drawn]
    isl, osl = lengths
    return np.full(count, isl, dtype=np.int64), np.full(count, osl, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Curve:
    """The rate of a service over some *hours*, which pass *squeeze* times as fast."""

    share: _Share
    hours: float
    squeeze: float
    peak_rps: float

    def __post_init__(self) -> None:
        _check("hours", self.hours, least=1e-3)
        _check("squeeze", self.squeeze, least=1e-3)
        _check("peak rate", self.peak_rps, least=1e-3)

    @property
    def seconds(self) -> float:
        return self.hours * 3600 / self.squeeze

    def rate_rps(self, at_seconds: Floats) -> Floats:
        return self.peak_rps * self.share(at_seconds * self.squeeze / 3600)


def _service(base: Trace, curve: _Curve, *, seed: int, tenants: int, name: str) -> Trace:
    """Return *tenants* that replay *base* and share *curve* equally."""
    _check("tenants", tenants, least=1)
    recorded = base.requests_per_second
    if recorded is None:
        raise TraceError(f"trace {base.name}: spans no time", hint="record a few minutes at least")
    arrivals, rows = [], []
    for tenant in range(tenants):
        rng = np.random.default_rng([seed, 0, tenant])
        at, row = _shuffled(base, seconds=curve.seconds, rng=rng)
        copies = rng.poisson(curve.rate_rps(at) / tenants / recorded)
        at = np.repeat(at, copies)
        # As in `amplify`, so that equal volumes burst alike.
        moved = at + rng.uniform(-JITTER_SECONDS, JITTER_SECONDS, size=len(at))
        arrivals.append(reflected(moved, end=curve.seconds))
        rows.append(np.repeat(row, copies))
    at, row = np.concatenate(arrivals), np.concatenate(rows)
    order = np.argsort(at, kind="stable")
    row = row[order]
    return Trace(
        name=f"{name} of {base.name}, seed {seed}",
        arrival_seconds=at[order],
        isl=base.isl[row],
        osl=base.osl[row],
    )


def _shuffled(base: Trace, *, seconds: float, rng: np.random.Generator) -> tuple[Floats, Ints]:
    """Return times and rows of *base*, replayed for *seconds* block by block in random orders.

    Every pass has each block once, so a replay has the rate of the recording.
    """
    blocks = max(_FEWEST_BLOCKS, round(base.duration_seconds / _BLOCK_SECONDS))
    length = base.duration_seconds / blocks
    edges = np.searchsorted(base.arrival_seconds, np.arange(1, blocks) * length)
    members = np.split(np.arange(len(base)), edges)
    # The first block is cut at a random place, or all tenants would change blocks in step.
    start = -rng.uniform(0.0, length)
    passes = int(np.ceil((seconds - start) / (length * blocks)))
    order = np.concatenate([rng.permutation(blocks) for _ in range(passes)])
    at = [
        base.arrival_seconds[members[block]] + (start + (place - block) * length)
        for place, block in enumerate(order)
    ]
    times, row = np.concatenate(at), np.concatenate([members[block] for block in order])
    inside = (times >= 0) & (times < seconds)
    return times[inside], row[inside]


def _check(what: str, value: float, *, least: float) -> None:
    if not least <= value < np.inf:
        raise ConfigError(f"{what} {value:g}: must be a finite number of at least {least:g}")
