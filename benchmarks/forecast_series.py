"""The demand series that forecasts are judged on: recordings, a built weekday, made-up days."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from planner.core.engine import EngineModel
from planner.profiles import load_profile
from planner.traces import Trace, amplify, open_trace, weekday

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PROFILE = "llama-3.1-8b-fp8-h200"
TRACES = Path(__file__).parents[2] / "shared" / "data" / "traces"
RECORDED = {
    "Azure conversation x40": ("azure_conv.csv", 40),
    "Azure code x20": ("azure_code_first_half.csv", 20),
    "Mooncake x10": ("mooncake_conversation.jsonl", 10),
}
TICK_SECONDS = 5.0
_BIN_SECONDS = 0.25
_TICK_BINS = 20
_LOOK_BACK_BINS = 240
# About what a TTFT target of 500 ms leaves for prompts as long as Azure's.
_SLACK_SECONDS = 0.4
_DAY_SECONDS = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Prefill workers that would have kept TTFT in each tick, and how many requests arrived."""

    name: str
    workers: Floats
    requests: Ints


def recorded(name: str) -> Demand | None:
    """Return the series of a recording, amplified; None where its file is missing."""
    file, times = RECORDED[name]
    if not (TRACES / file).exists():
        return None
    trace = amplify(open_trace(TRACES / file), times, rng=np.random.default_rng(0))
    return _of_trace(name, trace)


def working_day(seed: int) -> Demand | None:
    """Return a day built from Azure conversation, squeezed into 6 hours; None without its file."""
    path = TRACES / RECORDED["Azure conversation x40"][0]
    if not path.exists():
        return None
    return _of_trace("weekday in 6 h", weekday(open_trace(path), seed=seed))


def two_days(seed: int) -> Demand:
    """Return two made-up days: a diurnal curve, slow drift, and bursts of seconds to minutes.

    The second day is another one: 8 % busier, with its own drift and bursts.
    """
    rng = np.random.default_rng(seed)
    bins = int(2 * _DAY_SECONDS / _BIN_SECONDS)
    hour = np.arange(bins) * _BIN_SECONDS / 3600
    day = 1 - np.cos((hour - 3) * np.pi / 12)
    lunch = 1 - 0.15 * np.exp(-(((hour % 24) - 12.5) ** 2))
    noise = sum(
        _wandering(rng, bins, seconds=seconds, deviation=deviation)
        for seconds, deviation in ((3600, 0.08), (120, 0.12), (8, 0.15))
    )
    rate = (20 + 180 * day * lunch) * np.where(hour < 24, 1.0, 1.08) * np.exp(noise)
    requests = rng.poisson(rate * _BIN_SECONDS)
    mean_seconds = float(_work_seconds(_engine(), np.array([1000.0]))[0])
    work = mean_seconds * rng.gamma(requests + 1e-9)  # lengths vary as an exponential law's
    return _demand("two days", work, requests)


def _wandering(rng: np.random.Generator, bins: int, *, seconds: float, deviation: float) -> Floats:
    """Return noise around 0 with this standard deviation that is forgotten within *seconds*."""
    every = max(1, int(seconds / 8 / _BIN_SECONDS))
    keep = np.exp(-every * _BIN_SECONDS / seconds)
    steps = rng.normal(scale=deviation * np.sqrt(1 - keep**2), size=bins // every + 2)
    level = 0.0
    for index, step in enumerate(steps):
        level = steps[index] = keep * level + step
    return np.interp(np.arange(bins), np.arange(len(steps)) * every, steps)


def _engine() -> EngineModel:
    return load_profile(PROFILE).engine()


def _work_seconds(engine: EngineModel, isl: Floats) -> Floats:
    """Return each prompt's part of its batch's time, with its share of the base."""
    law, budget = engine.prefill, engine.limits.max_num_batched_tokens
    filled = budget - min(float(isl.mean()), budget) / 2
    return (
        law.token_seconds * isl
        + law.token_squared_seconds * isl**2
        + law.base_seconds * np.minimum(1.0, isl / filled)
    )


def _of_trace(name: str, trace: Trace) -> Demand:
    bins = (int(trace.duration_seconds / TICK_SECONDS) + 1) * _TICK_BINS
    first = (trace.arrival_seconds / _BIN_SECONDS).astype(int)
    seconds = _work_seconds(_engine(), trace.isl.astype(float))
    short = seconds <= _BIN_SECONDS
    work: Floats = np.bincount(first[short], seconds[short], minlength=bins).astype(float)
    for start, left in zip(first[~short], seconds[~short], strict=True):
        _spread(work, int(start), float(left))
    return _demand(name, work, np.bincount(first, minlength=bins))


def _spread(work: Floats, start: int, left: float) -> None:
    """Add *left* seconds of work from bin *start* on: one request is served by one worker."""
    for index in range(start, len(work)):
        work[index] += min(left, _BIN_SECONDS)
        left -= _BIN_SECONDS
        if left <= 0:
            return


def _demand(name: str, work: Floats, requests: Ints) -> Demand:
    """Return the most work of any recent span over the time to do it in, at worst in each tick."""
    total = np.concatenate([np.zeros(_LOOK_BACK_BINS), np.cumsum(work)])
    most = np.zeros(len(work))
    for back in range(1, _LOOK_BACK_BINS + 1):
        done = total[_LOOK_BACK_BINS:] - total[_LOOK_BACK_BINS - back : len(total) - back]
        np.maximum(most, done / ((back - 0.5) * _BIN_SECONDS + _SLACK_SECONDS), out=most)
    return Demand(
        name=name,
        workers=most.reshape(-1, _TICK_BINS).max(axis=1),
        requests=requests.reshape(-1, _TICK_BINS).sum(axis=1),
    )
