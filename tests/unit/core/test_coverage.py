"""What lies beyond a profile's points is said, and nothing else."""

from dataclasses import replace

import pytest

from planner.core.coverage import beyond_points
from planner.core.role import Role
from planner.core.workload import Workload
from planner.profiles import load_profile

ENTRY = load_profile("llama-3.1-8b-fp8-h200").at()
CHAT = Workload(rate_rps=10.0, isl=3000, osl=300)
SHORT = replace(CHAT, isl=50)
LONG = replace(CHAT, isl=20_000, rate_rps=1.0)
TAIL = replace(CHAT, isl=8000, isl_squared=8000**2 * 2.5)
BATCH = Workload(rate_rps=43.0, isl=400, osl=400)


@pytest.mark.parametrize("role", Role)
def test_inside_the_points_there_is_nothing_to_say(role):
    assert beyond_points(role, ENTRY, CHAT, replicas=2) == ()


@pytest.mark.parametrize(
    ("role", "load", "said"),
    [
        pytest.param(Role.PREFILL, SHORT, "of 50 tokens, measured from 100", id="short"),
        pytest.param(Role.PREFILL, LONG, "up to 20000 tokens, measured up to 16", id="long"),
        pytest.param(Role.PREFILL, TAIL, "tokens, measured up to 16372", id="a long tail"),
        pytest.param(Role.DECODE, LONG, "up to 20150 tokens, measured", id="context"),
        pytest.param(Role.DECODE, BATCH, "requests, measured up to 900", id="batch"),
        pytest.param(Role.AGGREGATED, SHORT, "of 50 tokens, measured from 100", id="both"),
    ],
)  # fmt: skip
def test_what_is_beyond_the_points_is_said(role, load, said):
    found = beyond_points(role, ENTRY, load, replicas=1)
    assert any(said in text for text in found), found
    assert all(text.startswith(f"{role} tp1: ") for text in found)


@pytest.mark.parametrize("role", Role)
def test_a_profile_without_points_says_so(role):
    bare = replace(ENTRY, prefill_points=(), decode_points=())
    found = beyond_points(role, bare, CHAT, replicas=1)
    assert found
    assert all("has no measured" in text for text in found)
