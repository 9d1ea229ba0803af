"""When a point was measured often enough, and which of its samples count."""

from collections.abc import Iterable, Sequence
from statistics import median

from profiler.effort import Effort
from profiler.record import (
    Ask,
    PointRecord,
    Sample,
    half_width,
    is_disturbed,
    relative_deviation,
    seconds,
)

# A sample this many deviations off the median is an outlier, if also far off in what counts.
_FAR_DEVIATIONS = 5.0
_FAR_CONFIDENCES = 4.0
# Of a normal distribution, over its median absolute deviation.
_DEVIATION_RATIO = 1.4826
_LEAST_SAMPLES = 4


def split_outliers(
    samples: Sequence[Sample], *, confidence: float
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Return (those that count, outliers), both in the order measured.

    Below four samples nobody can tell who is the outlier. With a confidence of 3 % a sample is
    never one within 12 % of the median, however close together the others are.
    """
    if len(samples) < _LEAST_SAMPLES:
        return tuple(samples), ()
    values = [seconds(sample) for sample in samples]
    middle = median(values)
    spread = _DEVIATION_RATIO * median(abs(value - middle) for value in values)
    far = max(_FAR_DEVIATIONS * spread, _FAR_CONFIDENCES * confidence * middle)
    kept = tuple(s for s in samples if abs(seconds(s) - middle) <= far)
    return kept, tuple(s for s in samples if abs(seconds(s) - middle) > far)


def enough(samples: Sequence[Sample], effort: Effort, *, usual: float) -> bool:
    """Return whether *samples* tell the mean to the confidence asked for, or are all allowed.

    Three samples close together may be luck: a point is taken for no steadier than *usual*, the
    deviation of its like as a share of the mean. Twice as many are allowed while others disturb.
    """
    kept, _ = split_outliers(samples, confidence=effort.confidence)
    values = [seconds(sample) for sample in kept]
    most = (2 if is_disturbed(values) else 1) * effort.most_repeats
    if len(samples) >= most:
        return True
    width = half_width(values, least_deviation=usual)
    return len(kept) >= effort.least_repeats and width is not None and width <= effort.confidence


def usual_deviation(records: Iterable[PointRecord], ask: Ask) -> float:
    """Return the median deviation of the points like *ask*, as a share of the mean; 0 of none."""
    found = [
        deviation
        for record in records
        if type(record.ask) is type(ask) and record.failure is None
        if (deviation := relative_deviation(list(map(seconds, record.samples)))) is not None
    ]
    return median(found) if found else 0.0
