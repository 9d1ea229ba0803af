"""The load that a journal recorded, put together again, and what foresight makes of it."""

from pathlib import Path

import pytest

from dashboards.reading.intervals import Interval
from dashboards.reading.source import Source
from dashboards.summaries.foresight import (
    Foresight,
    against_rows,
    foresight,
    recorded_load,
    searchable,
)
from planner.core.observation import Arrivals, Replicas, Traffic
from planner.core.policy import PolicyConfig
from planner.core.role import Role
from planner.core.sla import Sla
from planner.errors import JournalError
from planner.profiles import load_profile

P, D = Role.PREFILL, Role.DECODE
FLEET = {P: Replicas(ready=1), D: Replicas(ready=1)}


def traffic(arrived: int, isl: float, *, osl: float = 0.0, finished: int = 0,
            arrivals: Arrivals | None = None) -> Traffic:  # fmt: skip
    return Traffic(
        seconds=5.0, arrived=arrived, isl_sum=isl, isl_squared_sum=0.0, finished=finished,
        osl_sum=osl, arrivals=arrivals,
    )  # fmt: skip


def interval(at: float, seen: Traffic | None) -> Interval:
    return Interval(at=at, traffic=seen, fleet=FLEET)


def test_requests_are_spread_over_what_is_known_of_their_arrival() -> None:
    bins = Arrivals(bin_seconds=2.5, counts=(2, 0), isl=(300, 0), isl_squared=(0, 0))
    load = recorded_load(
        [
            interval(1005.0, traffic(2, 300.0, arrivals=bins)),
            interval(1010.0, None),
            interval(1015.0, traffic(2, 800.0, osl=60.0, finished=3)),
        ]
    )
    assert load is not None
    # Two in the first of two bins; of the others only the interval is known.
    assert load.arrival_seconds.tolist() == [0.625, 1.875, 11.25, 13.75]
    assert load.isl.tolist() == [150, 150, 400, 400]
    # Outputs are those of the first that finished until others do.
    assert load.osl.tolist() == [20, 20, 20, 20]


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param([None], id="nothing read"),
        pytest.param([traffic(3, 300.0)], id="none finished"),
        pytest.param([traffic(0, 0.0, osl=10.0, finished=1)], id="none arrived"),
    ],
)
def test_what_is_not_known_is_no_load(seen: list[Traffic | None]) -> None:
    intervals = [interval(1000.0 + 5 * n, one) for n, one in enumerate(seen)]
    assert recorded_load(intervals) is None
    config = PolicyConfig(sla=Sla(ttft_seconds=0.5))
    profile = load_profile("llama-3.1-8b-fp8-h200")
    assert foresight(intervals, config, profile, progress=lambda _: None) is None


@pytest.mark.parametrize(
    ("most", "chosen"), [pytest.param(100, 4, id="all"), (25, 3), (10, 2), (9, 1)]
)
def test_a_search_is_bounded_from_the_end(most: int, chosen: int) -> None:
    seen = [traffic(10, 0.0), traffic(10, 0.0), traffic(10, 0.0), None]
    intervals = [interval(1000.0 + 5 * n, one) for n, one in enumerate(seen)]
    assert searchable(intervals, most=most) == intervals[4 - chosen :]


def test_the_load_of_a_journal_is_the_one_that_was_recorded(filled: Path) -> None:
    source = Source(filled)
    span = source.span()
    assert span is not None
    intervals = source.intervals(span, run=1)
    load = recorded_load(intervals)
    assert load is not None
    assert len(load) == sum(one.traffic.arrived for one in intervals if one.traffic)
    assert set(load.isl.tolist()) == {3000}
    assert set(load.osl.tolist()) == {300}
    assert load.duration_seconds == pytest.approx(600, abs=5)
    assert source.intervals(span, run=2) == []


def test_another_version_is_told(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def decoded(kind: type, plain: object) -> object:
        raise ValueError("not a Traffic: unknown field 'of'")

    monkeypatch.setattr("dashboards.reading.intervals.decoded", decoded)
    source = Source(filled)
    span = source.span()
    assert span is not None
    with pytest.raises(JournalError, match="an observation of run 1 is of another version"):
        source.intervals(span, run=1)


def test_foresight_costs_less_than_what_was_held_and_more_than_the_work(filled: Path) -> None:
    source, heard = Source(filled), list[float]()
    span = source.span()
    assert span is not None
    intervals = source.intervals(span, run=1)[:40]
    config = PolicyConfig(sla=Sla(ttft_seconds=0.5, itl_seconds=0.05))
    profile = load_profile("llama-3.1-8b-fp8-h200")
    found = foresight(intervals, config, profile, progress=heard.append)
    assert found is not None
    assert found.work_bound_gpu_hours < found.gpu_hours
    assert found.since == pytest.approx(intervals[0].at, abs=5)
    assert found.until <= intervals[-1].at
    assert heard[-1] == 1.0


FOUND = Foresight(
    since=0.0, until=3600.0, requests=9, gpu_hours=4.0, attainment=0.99, work_bound_gpu_hours=3.0
)


def test_fleets_stand_beside_foresight() -> None:
    rows = against_rows(FOUND, {"held": 6.0, "decided": 5.0}, attained=0.9999, price=2.0)
    assert [row["fleet"] for row in rows] == [
        "held", "decided", "perfect foresight", "the work alone"
    ]  # fmt: skip
    assert rows[0] == {
        "fleet": "held", "GPU-hours": "6.00", "$": "$12.00", "times foresight": "1.50x",
        "attainment": "99.99%",
    }  # fmt: skip
    assert rows[2]["attainment"] == "99%"
    assert rows[3]["attainment"] == ""


def test_without_a_price_there_is_no_money() -> None:
    rows = against_rows(FOUND, {"held": 6.0}, attained=None, price=None)
    assert "$" not in rows[0]
    assert rows[0]["attainment"] == ""
