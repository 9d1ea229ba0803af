"""Laws with corrections that were earned: growing with every load, honest about their error."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.core.engine import EngineLimits
from planner.core.profile import Accuracy, DecodePoint, PrefillPoint, Profile
from planner.errors import ProfileError
from planner.profiles import load_profile
from profiler.fit.curve import curves, decode_curve, prefill_curve
from profiler.fit.held_out import HeldOut
from profiler.fit.monotone import Correction, correction, isotonic

LIMITS = EngineLimits(
    max_num_batched_tokens=2048,
    max_num_seqs=256,
    block_size=16,
    kv_capacity_tokens=200_000,
    kv_bytes_per_token=1,
    transfer_bytes_per_second=1.0,
)
LENGTHS = (128, 512, 1024, 2048, 3000, 4096, 8000, 16_000)


def prompt_points(seconds):
    return [PrefillPoint(isl=isl, ttft_seconds=seconds(isl)) for isl in LENGTHS]


def load_points(seconds, batches=(1, 8, 32, 100, 200), contexts=(128, 800)):
    return [
        DecodePoint(batch=b, kv_tokens=b * c, itl_seconds=seconds(b, b * c))
        for b in batches
        for c in contexts
    ]


def chunked(isl):
    return -(-isl // 2048) * 0.02 + 1e-5 * isl


def test_prompts_that_are_cut_pay_the_base_of_every_chunk():
    curve = prefill_curve(prompt_points(chunked), LIMITS)
    assert curve.trust == 0
    assert curve.errors.mean < 1e-6
    assert curve.ttft_seconds(6000) == pytest.approx(chunked(6000))


def test_a_bend_that_no_law_has_is_corrected_once_points_bear_it_out():
    def bent(batch, kv_tokens):
        return 0.005 + 2e-5 * batch + 1e-8 * kv_tokens + 1e-4 * max(0, batch - 80)

    curve = decode_curve(load_points(bent, batches=(1, 20, 40, 55, 65, 100, 150, 200)), LIMITS)
    law = curve.law
    assert curve.trust > 0
    at = [(b, b * 400) for b in (5, 30, 50, 120, 180)]
    by_curve = np.mean([abs(curve.itl_seconds(*x) / bent(*x) - 1) for x in at])
    by_law = np.mean([abs(law.step_seconds(*x) / bent(*x) - 1) for x in at])
    assert by_curve < by_law


def test_a_law_that_holds_is_not_corrected_for_noise():
    rng = np.random.default_rng(1)

    def noisy(batch, kv_tokens):
        law = 0.005 + 2e-5 * batch + 1e-8 * kv_tokens
        return law * (1 + 0.01 * rng.standard_normal())

    assert decode_curve(load_points(noisy), LIMITS).trust == 0


@given(st.lists(st.floats(0.001, 10), min_size=12, max_size=12), st.integers(0, 1))
def test_curves_grow_with_every_load_whatever_was_measured(times, which):
    points = [
        DecodePoint(batch=b, kv_tokens=b * c, itl_seconds=t)
        for (b, c), t in zip(
            [(b, c) for b in (1, 10, 100, 250) for c in (100, 300, 700)], times, strict=True
        )
    ]
    curve = decode_curve(points, LIMITS)
    curve = replace(
        curve,
        correction=correction(
            [curve.law.step_seconds(p.batch, p.kv_tokens) for p in points], times, trust=1.0
        ),
    )
    loads = [(b, b * c + 1) for b in (1, 5, 50, 256) for c in (64, 256, 780)]
    for batch, kv in loads:
        now = curve.itl_seconds(batch, kv)
        assert curve.itl_seconds(batch + 1, kv) >= now * (1 - 1e-9)
        assert curve.itl_seconds(batch, kv + 500) >= now * (1 - 1e-9)
    rates = [curve.tokens_per_second(itl, 300) for itl in (0.001, 0.01, 0.1, 1, 10, None)]
    assert rates == sorted(rates)


@given(st.lists(st.floats(-1e3, 1e3), max_size=30))
def test_isotonic_never_falls_and_keeps_the_mean(values):
    found = isotonic(values)
    assert all(a <= b + 1e-9 for a, b in pairwise(found))
    assert sum(found) == pytest.approx(sum(values), abs=1e-6)
    assert isotonic(found) == pytest.approx(found)


def test_a_correction_meets_its_points_and_keeps_the_ratio_beyond():
    found = correction([1.0, 2.0, 3.0], [2.0, 3.0, 3.0], trust=1.0)
    assert [found(x) for x in (0.5, 1, 1.5, 2, 6)] == [1.0, 2.0, 2.5, 3.0, 6.0]
    assert correction([1.0], [2.0], trust=0.5)(1.0) == 1.5
    assert Correction()(4.0) == 4.0


def test_the_interval_of_the_held_out_error():
    found = HeldOut(errors=(0.01, 0.03)).accuracy(confidence=0.02)
    assert found is not None
    assert found.held_out == pytest.approx(0.02)
    assert found.held_out_high == pytest.approx(0.02 + 12.71 * 0.01)
    assert found.held_out_low == 0
    assert HeldOut(errors=(0.01,)).accuracy(confidence=None) is None
    assert HeldOut(errors=()).mean == float("inf")


def test_too_few_points_are_an_error():
    with pytest.raises(ProfileError):
        prefill_curve(prompt_points(chunked)[:2], LIMITS)
    with pytest.raises(ProfileError):
        decode_curve([], LIMITS)


@pytest.mark.parametrize("name", ["llama-3.1-8b-fp8-h200", "qwen3-32b-h200"])
def test_curves_come_from_any_profile_that_has_points(name):
    for entry in load_profile(name).engines:
        prefill, decode = curves(entry)
        assert prefill.errors.mean < 0.06
        assert decode.errors.mean < 0.06


def test_the_accuracy_survives_the_file():
    profile = load_profile("llama-3.1-8b-fp8-h200")
    accuracy = Accuracy(
        held_out=0.03, held_out_low=0.01, held_out_high=0.05, points=4, confidence=0.02
    )
    entry = replace(profile.at(), prefill_accuracy=accuracy)
    entry = replace(entry, decode_accuracy=replace(accuracy, confidence=None))
    stated = replace(profile, engines=(entry,))
    assert Profile.from_dict(json.loads(json.dumps(stated.to_dict()))) == stated
    assert "accuracy" not in json.dumps(profile.to_dict())
