"""What the core decides survives being written down."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.core.encoding import decoded, encoded
from planner.core.observation import Latencies, Observation, Quantiles, Replicas, RoleLoad, Traffic
from planner.core.plan import Decision, Gpus, Plan, Reason, Step
from planner.core.role import Role

roles = st.sampled_from(Role)
counts = st.integers(0, 1000)
numbers = st.floats(allow_nan=False)
replicas = st.builds(Replicas, ready=counts, starting=counts, draining=counts)
quantiles = st.builds(Quantiles, p50=numbers, p95=numbers, p99=numbers)
observations = st.builds(
    Observation,
    at=numbers,
    fleet=st.dictionaries(roles, replicas),
    traffic=st.none()
    | st.builds(
        Traffic,
        seconds=numbers,
        arrived=counts,
        isl_sum=numbers,
        isl_squared_sum=numbers,
        finished=counts,
        osl_sum=numbers,
    ),
    load=st.dictionaries(
        roles, st.builds(RoleLoad, waiting=st.none() | counts, kv_usage=st.none() | numbers)
    ),
    age_seconds=numbers,
    latencies=st.none() | st.builds(Latencies, ttft=st.none() | quantiles),
)
steps = st.builds(
    Step,
    reason=st.sampled_from(Reason),
    before=counts,
    after=counts,
    inputs=st.dictionaries(st.text(max_size=8), numbers),
)
decisions = st.builds(
    Decision,
    role=roles,
    current=counts,
    raw=counts,
    desired=counts,
    steps=st.lists(steps, max_size=3).map(tuple),
)
plans = st.builds(
    Plan,
    at=numbers,
    decisions=st.dictionaries(roles, decisions),
    gpus=st.builds(Gpus, current=counts, desired=counts, budget=st.none() | counts),
    cost_per_hour=st.none() | numbers,
    attainment=st.none() | numbers,
)


@given(observations)
def test_an_observation_comes_back_from_json(observation):
    assert decoded(Observation, json.loads(json.dumps(encoded(observation)))) == observation


@given(plans)
def test_a_plan_comes_back_from_json(plan):
    assert decoded(Plan, json.loads(json.dumps(encoded(plan)))) == plan


def test_names_and_units_stay_readable():
    step = Step(reason=Reason.BACKLOG, before=1, after=2, inputs={"demand_rps": 41.2})
    assert encoded(step) == {
        "reason": "Backlog",
        "before": 1,
        "after": 2,
        "inputs": {"demand_rps": 41.2},
    }


def test_a_field_with_a_default_may_be_missing_in_older_data():
    assert decoded(Replicas, {"ready": 2}) == Replicas(ready=2)
    assert decoded(Observation, {"at": 1.0, "fleet": {}}).latencies is None


def test_a_whole_number_is_a_float_where_one_is_meant():
    gpus = decoded(Step, {"reason": "Backlog", "before": 1, "after": 1, "inputs": {"n": 3}})
    assert isinstance(gpus.inputs["n"], float)


def test_numpy_numbers_become_plain_ones():
    assert json.dumps(encoded({"a": np.float64(1.5), "b": np.int64(2)})) == '{"a": 1.5, "b": 2}'


@pytest.mark.parametrize(
    ("kind", "plain", "message"),
    [
        pytest.param(Replicas, {"redy": 1}, "unknown field 'redy' of Replicas", id="unknown field"),
        pytest.param(Replicas, {"ready": "1"}, "'1' is not a int", id="wrong type"),
        pytest.param(Replicas, [1], "not a Replicas", id="list for an object"),
        pytest.param(Gpus, {"current": 1}, "desired", id="missing field"),
        pytest.param(
            Step, {"reason": "Mood", "before": 1, "after": 1}, "Mood", id="unknown reason"
        ),
        pytest.param(RoleLoad, {"waiting": "many"}, "'many'", id="wrong optional"),
    ],
)
def test_data_that_is_something_else_is_refused(kind, plain, message):
    with pytest.raises(ValueError, match=message):
        decoded(kind, plain)


def test_a_value_without_a_plain_form_is_refused():
    with pytest.raises(TypeError, match="object has no plain form"):
        encoded({"x": object()})
