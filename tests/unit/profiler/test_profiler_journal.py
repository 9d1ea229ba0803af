"""Laws refitted from the sums that production journals."""

import numpy as np
import pytest

from planner.core.drift import model_seconds, slowed
from planner.core.observation import StepSums
from planner.core.role import Role
from planner.profiles import load_profile
from profiler.from_journal import refit

ENGINE = load_profile("llama-3.1-8b-fp8-h200").engine()


def sums(role, engine, rng, *, noise=0.02, mix=True):
    """Return what engines of that law would count in 5 s of a random load."""
    steps = int(rng.integers(100, 400))
    batch, context = (
        (float(rng.uniform(5, 200)), float(rng.uniform(200, 6000))) if mix else (50, 900)
    )
    isl = float(rng.uniform(100, 8000)) if mix else 1000.0
    prefill = steps if role is Role.PREFILL else int(steps * rng.uniform(0.05, 0.6))
    if role is Role.DECODE:
        prefill = 0
    prompts = prefill * (1.5 if mix else 1.0)
    decoded = 0 if role is Role.PREFILL else int(steps * batch)
    counted = StepSums(
        seconds=1.0,
        steps=steps,
        prefill_steps=prefill,
        decoded=decoded,
        kv_tokens=int(decoded * context),
        prefilled=int(prompts * isl),
        prefilled_squared=int(prompts * isl**2),
    )
    seconds = model_seconds(role, engine, counted) * (1 + noise * rng.standard_normal())
    return StepSums(**{**{f: getattr(counted, f) for f in counted.__slots__}, "seconds": seconds})


@pytest.mark.parametrize("role", Role)
def test_what_production_shows_replaces_the_profile(role):
    rng = np.random.default_rng(3)
    truth = slowed(ENGINE, 140)
    found = refit(role, ENGINE, [sums(role, truth, rng) for _ in range(200)])
    assert found is not None
    assert found.error_before > 0.25
    assert found.error_after < 0.025
    told = [c for c in found.coefficients if c.relative_error is not None]
    assert len(told) >= 2
    for coefficient in told:
        assert coefficient.after == pytest.approx(1.4 * coefficient.before, rel=0.15)


def test_what_the_intervals_do_not_tell_apart_is_kept():
    """Every interval has the same mix: only one thing is known of it, how long it took."""
    rng = np.random.default_rng(4)
    found = refit(
        Role.DECODE,
        ENGINE,
        [sums(Role.DECODE, slowed(ENGINE, 120), rng, mix=False) for _ in range(50)],
    )
    assert found is not None
    kept = [c for c in found.coefficients if c.relative_error is None]
    assert kept
    assert all(c.after == c.before for c in kept)
    assert found.error_after < 0.03


def test_a_role_changes_its_own_law_alone():
    rng = np.random.default_rng(5)
    truth = slowed(ENGINE, 150)
    prefill = refit(Role.PREFILL, ENGINE, [sums(Role.PREFILL, truth, rng) for _ in range(60)])
    decode = refit(Role.DECODE, ENGINE, [sums(Role.DECODE, truth, rng) for _ in range(60)])
    assert prefill is not None
    assert decode is not None
    assert prefill.engine.decode == ENGINE.decode
    assert decode.engine.prefill == ENGINE.prefill


def test_intervals_that_are_about_something_else_do_not_count():
    rng = np.random.default_rng(6)
    intervals = [sums(Role.DECODE, ENGINE, rng) for _ in range(100)]
    warm_ups = [sums(Role.DECODE, slowed(ENGINE, 300), rng) for _ in range(5)]
    found = refit(Role.DECODE, ENGINE, intervals + warm_ups)
    assert found is not None
    assert found.left_out >= 5
    for c in found.coefficients:
        assert c.after == pytest.approx(c.before, rel=0.15)


def test_the_smaller_base_of_a_step_with_both_in_it_is_not_seen():
    rng = np.random.default_rng(7)
    found = refit(Role.AGGREGATED, ENGINE, [sums(Role.AGGREGATED, ENGINE, rng) for _ in range(200)])
    assert found is not None
    assert found.engine.prefill.base_seconds == pytest.approx(ENGINE.prefill.base_seconds, rel=0.15)


@pytest.mark.parametrize("count", [0, 9])
def test_too_little_is_nothing(count):
    rng = np.random.default_rng(8)
    idle = StepSums(seconds=0.0, steps=0, prefill_steps=0, decoded=0, kv_tokens=0, prefilled=0,
                    prefilled_squared=0)  # fmt: skip
    intervals = [sums(Role.DECODE, ENGINE, rng) for _ in range(count)] + [idle] * 20
    assert refit(Role.DECODE, ENGINE, intervals) is None
