"""Loads as people have them, each as the same trace, and what is wrong with one by its row."""

import numpy as np
import pytest

from planner.api.loads import as_trace
from planner.errors import TraceError
from planner.traces import open_trace

pd = pytest.importorskip("pandas")

ARRIVALS, ISL, OSL = [10.0, 10.5, 12.0], [100, 200, 300], [10, 20, 30]
MOMENTS = ["2026-11-21 08:00:10", "2026-11-21 08:00:10.5", "2026-11-21 08:00:12"]
TIMES = pd.to_datetime(MOMENTS, format="ISO8601")
OURS = {"arrival_seconds": ARRIVALS, "isl": ISL, "osl": OSL}


@pytest.mark.parametrize(
    "load",
    [
        pytest.param(OURS, id="dict"),
        pytest.param({**OURS, "user": ["a", "b", "c"]}, id="more columns"),
        pytest.param(pd.DataFrame(OURS), id="DataFrame"),
        pytest.param(pd.DataFrame(OURS, index=[7, 8, 9]), id="any index"),
        pytest.param(pd.DataFrame({**OURS, "isl": [100.0, 200.0, 300.0]}), id="whole floats"),
        pytest.param(
            pd.DataFrame({"TIMESTAMP": MOMENTS, "ContextTokens": ISL, "GeneratedTokens": OSL}),
            id="Azure's names, times as text",
        ),
        pytest.param(pd.DataFrame({**OURS, "arrival_seconds": TIMES}), id="times"),
        pytest.param(
            pd.DataFrame({**OURS, "arrival_seconds": TIMES.tz_localize("UTC")}),
            id="times with a zone",
        ),
        pytest.param(
            {"timestamp": [0, 500, 2000], "input_length": ISL, "output_length": OSL},
            id="Mooncake's names, in ms",
        ),
        pytest.param(np.column_stack([ARRIVALS, ISL, OSL]), id="array"),
    ],
)
def test_every_form_is_the_same_trace(load):
    trace = as_trace(load)
    assert trace.arrival_seconds.tolist() == [0.0, 0.5, 2.0]
    assert trace.isl.tolist() == ISL
    assert trace.osl.tolist() == OSL


def test_a_trace_stays_itself_and_a_name_is_opened():
    trace = open_trace("bundled:azure-conv")
    assert as_trace(trace) is trace
    assert len(as_trace("bundled:azure-conv")) == len(trace)


@pytest.mark.parametrize(
    ("load", "message"),
    [
        pytest.param({**OURS, "osl": [10, 0, 30]}, "line 2: osl 0: must be", id="no output"),
        pytest.param({**OURS, "isl": [100, 2.5, 3]}, "line 2: isl 2.5: not a whole", id="half"),
        pytest.param({**OURS, "isl": [1.0, 2.0, np.nan]}, "line 3: isl is missing", id="nan"),
        pytest.param(
            {**OURS, "arrival_seconds": [1.0, np.inf, 3.0]},
            "line 2: arrival_seconds is missing",
            id="never",
        ),
        pytest.param(
            pd.DataFrame({**OURS, "arrival_seconds": [pd.NaT, *TIMES[1:]]}),
            "trace DataFrame, line 1: arrival_seconds is missing",
            id="no time",
        ),
        pytest.param(
            {**OURS, "arrival_seconds": [1.0, 3.0, 2.0]},
            "line 3: arrives 1.000 s before",
            id="order",
        ),
        pytest.param({**OURS, "isl": ["a", "b", "c"]}, "column isl has neither", id="words"),
        pytest.param({**OURS, "isl": TIMES}, "not a whole number", id="dates"),
        pytest.param({**OURS, "isl": [1, 2]}, "columns of [2, 3] rows", id="ragged"),
        pytest.param({"isl": ISL}, "no three columns of a trace in isl", id="columns"),
        pytest.param({}, "no three columns of a trace in it", id="nothing"),
        pytest.param({name: [] for name in OURS}, "no requests", id="empty"),
        pytest.param(np.zeros((3, 2)), "its shape (3, 2) is not (requests, 3)", id="shape"),
    ],
)
def test_a_mistake_is_named_by_its_row(load, message):
    with pytest.raises(TraceError) as told:
        as_trace(load)
    assert message in str(told.value)
