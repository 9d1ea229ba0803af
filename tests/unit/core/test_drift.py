"""Engines that are slower or faster than their profile, told from what their steps computed."""

import pytest

from planner.core.drift import model_seconds, slowed, slowness
from planner.core.observation import StepSums
from planner.core.role import Role
from planner.profiles import load_profile

ENGINE = load_profile("llama-3.1-8b-fp8-h200").engine()
P, D = Role.PREFILL, Role.DECODE


def steps(seconds=1.0, **counts):
    blank = dict.fromkeys(
        ("steps", "prefill_steps", "decoded", "kv_tokens", "prefilled", "prefilled_squared"), 0
    )
    return StepSums(seconds=seconds, **{**blank, **counts})


def test_the_model_s_time_of_2_prefill_batches_is_that_of_the_batches():
    sums = steps(
        steps=2, prefill_steps=2, prefilled=1500, prefilled_squared=500**2 * 2 + 250**2 * 2
    )
    batches = ENGINE.prefill_seconds([500, 500]) + ENGINE.prefill_seconds([250, 250])
    assert model_seconds(P, ENGINE, sums) == pytest.approx(batches)


def test_the_model_s_time_of_3_decode_steps_is_that_of_the_steps():
    sums = steps(steps=3, decoded=30, kv_tokens=10_000 + 10_010 + 10_020)
    times = sum(ENGINE.decode.step_seconds(10, kv) for kv in (10_000, 10_010, 10_020))
    assert model_seconds(D, ENGINE, sums) == pytest.approx(times)


def test_a_mixed_step_pays_the_larger_base():
    sums = steps(
        steps=1, prefill_steps=1, decoded=4, kv_tokens=4000, prefilled=100, prefilled_squared=10_000
    )
    mixed = ENGINE.step_seconds(decoding=4, kv_tokens=4000, chunks=[(0, 100)])
    assert model_seconds(Role.AGGREGATED, ENGINE, sums) == pytest.approx(mixed)


@pytest.mark.parametrize(
    ("true", "learned"),
    [
        pytest.param(1.0, 1.0, id="as in the profile"),
        pytest.param(1.2, 1.2, id="a fifth slower"),
        pytest.param(0.8, 0.8, id="a fifth faster"),
        pytest.param(9.0, 2.0, id="hopeless is bounded"),
        pytest.param(0.1, 0.5, id="too good is bounded"),
    ],
)
def test_slowness_is_learned_over_a_minute(true, learned):
    sums = steps(steps=100, decoded=1000, kv_tokens=1_000_000)
    sums = steps(
        true * model_seconds(D, ENGINE, sums), steps=100, decoded=1000, kv_tokens=1_000_000
    )
    first = slowness(1.0, D, ENGINE, sums, seconds=5.0)
    assert abs(first - 1.0) <= 0.1
    factor = 1.0
    for _ in range(720):
        factor = slowness(factor, D, ENGINE, sums, seconds=5.0)
    assert factor == pytest.approx(learned, rel=1e-3)


def test_engines_that_did_nothing_tell_nothing():
    assert slowness(1.3, D, ENGINE, steps(0.0), seconds=5.0) == 1.3


def test_a_slowed_engine_takes_that_much_longer():
    slow = slowed(ENGINE, 125)
    assert slow.prompt_seconds(3000) == pytest.approx(1.25 * ENGINE.prompt_seconds(3000))
    assert slow.decode.step_seconds(9, 9000) == pytest.approx(
        1.25 * ENGINE.decode.step_seconds(9, 9000)
    )
    assert slow.limits == ENGINE.limits
