"""The state survives a journal, and a bad one is refused in a line."""

import json

import pytest

from planner.core.decide import PolicyConfig, PolicyState, decide
from planner.core.role import Role
from planner.core.sla import Sla
from planner.errors import ConfigError
from planner.profiles import load_profile

PROFILE = load_profile("llama-3.1-8b-fp8-h200")


@pytest.fixture
def state(look, pair):
    """Return what is remembered after a long, busy and uneven time."""
    config = PolicyConfig(sla=Sla(ttft_seconds=0.2, itl_seconds=0.02), cold_start_seconds=300.0)
    known = PolicyState()
    for index in range(700):
        rate = 50 + 37 * ((index * 7919) % 101) / 101 - index * 0.03
        known, _ = decide(config, PROFILE, known, look(5.0 * index, rate, pair(3, 2)))
    return known


def test_it_survives_json_exactly_and_stays_small(state):
    text = json.dumps(state.to_dict())
    assert PolicyState.from_dict(json.loads(text)) == state
    assert len(text) <= 16 * 1024


def test_a_blank_state_knows_nothing():
    blank = PolicyState()
    assert PolicyState.from_dict(json.loads(json.dumps(blank.to_dict()))) == blank
    assert blank.role(Role.PREFILL).rate_rps is None
    assert blank.role(Role.DECODE).slowness == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"schema_version": "0"}, "schema version 0 is not the supported 4", id="old"),
        pytest.param({"at": "noon"}, "policy state: not a PolicyState", id="a text for a time"),
        pytest.param({"roles": {"mascot": {}}}, "policy state: ", id="an unknown role"),
        pytest.param({"colour": 1}, "unknown field 'colour'", id="an unknown field"),
        pytest.param(
            {"roles": {"decode": {"demand": {"errors": [1.0]}}}},
            "1 buckets of forecast errors, not 80",
            id="a histogram of another size",
        ),
    ],
)
def test_what_is_no_state_is_refused_in_a_line(change, message):
    with pytest.raises(ConfigError) as caught:
        PolicyState.from_dict({**PolicyState().to_dict(), **change})
    assert message in str(caught.value)
    assert caught.value.hint
