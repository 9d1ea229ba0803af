"""Repeats until the mean is known, outliers and first passes apart."""

import pytest

from planner.core.profile import DecodePoint, Parallelism, PrefillPoint
from planner.errors import ConfigError
from profiler.effort import Effort
from profiler.ports import DecodeSample, PrefillSample
from profiler.record import DecodeAsk, PointRecord, PrefillAsk, half_width
from profiler.sweep.repeats import enough, split_outliers, usual_deviation


def prompts(*values):
    return [PrefillSample(isl=100, ttft_seconds=value) for value in values]


def record(*values, failure=None):
    return PointRecord(
        parallelism=Parallelism(),
        ask=PrefillAsk(isl=100),
        samples=tuple(prompts(*values)),
        failure=failure,
    )


def test_the_interval_is_students():
    # 1.0 and 1.2: deviation 0.1414, over sqrt 2 -> 0.1, times 12.71, over the mean 1.1.
    assert half_width([1.0, 1.2]) == pytest.approx(0.1 * 12.71 / 1.1)
    assert half_width([1.0]) is None
    assert half_width([1.0] * 100) == 0


CASES = [
    pytest.param([1.0, 1.0], 0.0, False, id="fewer than the least"),
    pytest.param([1.0, 1.0, 1.0], 0.0, True, id="steady"),
    pytest.param([1.0, 1.0, 1.0], 0.03, False, id="steady by luck, its like are not"),
    pytest.param([1.0, 1.1, 0.9], 0.0, False, id="scattered"),
    pytest.param([1.0, 1.05, 0.95] * 3, 0.0, True, id="all repeats used up"),
    pytest.param([1.0, 1.4, 0.8] * 3, 0.0, False, id="not while others disturb"),
    pytest.param([1.0, 1.4, 0.8] * 6, 0.0, True, id="but not for ever"),
]


@pytest.mark.parametrize(("values", "usual", "expected"), CASES)
def test_when_it_is_enough(values, usual, expected):
    assert enough(prompts(*values), Effort(), usual=usual) is expected


def test_an_outlier_is_kept_apart():
    samples = prompts(1.0, 1.01, 1.9, 0.99, 1.0)
    kept, outliers = split_outliers(samples, confidence=0.03)
    assert [s.ttft_seconds for s in outliers] == [1.9]
    assert len(kept) == 4


def test_nobody_is_an_outlier_for_a_little_or_among_three():
    assert split_outliers(prompts(1.0, 1.0, 1.0, 1.0, 1.1), confidence=0.03)[1] == ()
    assert split_outliers(prompts(1.0, 1.0, 9.0), confidence=0.03)[1] == ()


def test_the_usual_deviation_is_that_of_the_same_kind():
    steady, wild = record(1.0, 1.0), record(1.0, 1.4)
    failed = record(1.0, 5.0, failure="x")
    assert usual_deviation([], PrefillAsk(isl=1)) == 0
    assert usual_deviation([steady, steady, wild, failed], PrefillAsk(isl=1)) == 0
    assert usual_deviation([wild], DecodeAsk(concurrency=1, context=1)) == 0


def test_points_are_means_of_what_was_achieved():
    assert record(1.0, 1.0).prefill_point == PrefillPoint(isl=100, ttft_seconds=1.0)
    assert record(1.0, 2.0).prefill_point == PrefillPoint(isl=100, ttft_seconds=1.5)
    assert record(1.0, failure="x").prefill_point is None
    assert record(1.0).decode_point is None
    decode = PointRecord(
        parallelism=Parallelism(),
        ask=DecodeAsk(concurrency=9, context=9),
        samples=(
            DecodeSample(batch=2, kv_tokens=10, itl_seconds=0.1, steps=3),
            DecodeSample(batch=4, kv_tokens=30, itl_seconds=0.3, steps=3),
        ),
    )
    assert decode.decode_point == DecodePoint(batch=3, kv_tokens=20, itl_seconds=0.2)
    assert decode.prefill_point is None


def test_what_others_disturbed_is_told_by_its_quicker_half():
    calm, disturbed = record(1.0, 1.04, 1.01), record(1.0, 1.8, 1.04, 1.01, 2.0)
    assert calm.prefill_point.ttft_seconds == pytest.approx(3.05 / 3)
    assert disturbed.prefill_point.ttft_seconds == pytest.approx(1.005)


@pytest.mark.parametrize("wrong", [{"prefill_points": 2}, {"decode_points": 3},
                                   {"least_repeats": 1}, {"most_repeats": 2}])  # fmt: skip
def test_an_effort_that_fits_nothing_is_refused(wrong):
    with pytest.raises(ConfigError):
        Effort(**wrong)
