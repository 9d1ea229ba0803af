"""Fits find the law behind the points, in relative error and without negative coefficients."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.core.engine import DecodeLaw, PrefillLaw
from planner.core.fit import decode_error, fit_decode, fit_prefill, prefill_error
from planner.core.profile import DecodePoint, PrefillPoint
from planner.errors import ProfileError

LENGTHS = (100, 500, 2000, 8000, 16000)
LOADS = [(batch, batch * context) for batch in (1, 8, 64, 256) for context in (500, 4000)]


@given(st.floats(1e-3, 0.1), st.floats(1e-6, 1e-4), st.floats(0, 1e-8))
def test_an_exact_prefill_law_is_found(base, token, square):
    law = PrefillLaw(base_seconds=base, token_seconds=token, token_squared_seconds=square)
    points = [PrefillPoint(isl=n, ttft_seconds=base + law.marginal_seconds(n)) for n in LENGTHS]
    assert prefill_error(fit_prefill(points), points).largest < 1e-6


@given(st.floats(1e-3, 0.1), st.floats(0, 1e-3), st.floats(0, 1e-6))
def test_an_exact_decode_law_is_found(base, request, kv_token):
    law = DecodeLaw(base_seconds=base, request_seconds=request, kv_token_seconds=kv_token)
    points = [
        DecodePoint(batch=b, kv_tokens=kv, itl_seconds=law.step_seconds(b, kv)) for b, kv in LOADS
    ]
    assert decode_error(fit_decode(points), points).largest < 1e-6


@given(st.lists(st.floats(0.01, 10.0), min_size=5, max_size=5))
def test_no_coefficient_is_negative_whatever_was_measured(times):
    law = fit_prefill(
        [PrefillPoint(isl=n, ttft_seconds=t) for n, t in zip(LENGTHS, times, strict=True)]
    )
    assert min(law.base_seconds, law.token_seconds, law.token_squared_seconds) >= 0


def test_errors_are_relative_so_that_short_prompts_count():
    # The longest is twice the law: least squares in seconds would follow it alone.
    points = [PrefillPoint(isl=n, ttft_seconds=0.01 + 1e-5 * n) for n in LENGTHS[:-1]]
    points.append(PrefillPoint(isl=16_000, ttft_seconds=0.34))
    law = fit_prefill(points)
    assert prefill_error(law, points[:2]).largest < 0.1


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        pytest.param(
            lambda: fit_prefill([PrefillPoint(isl=100, ttft_seconds=1.0)] * 5),
            "a prefill fit needs 3 different prompt lengths, got 1",
            id="prefill",
        ),
        pytest.param(
            lambda: fit_decode([DecodePoint(batch=1, kv_tokens=10, itl_seconds=1.0)]),
            "a decode fit needs 3 points, got 1",
            id="decode",
        ),
    ],
)
def test_too_few_points_are_refused(fit, message):
    with pytest.raises(ProfileError, match=message):
        fit()
