"""From looks to tables, on figures small enough to be checked by hand."""

from typing import Any

import pytest

from dashboards.reading.look import Counts, Look, RoleLook
from dashboards.summaries.cost import costs, day_rows, known_price, table_rows
from dashboards.summaries.fleet import change_rows, gpu_rows, replica_rows
from dashboards.summaries.forecasts import Expected, History, accuracy, forecast_rows
from dashboards.summaries.health import is_late, usual_gap
from dashboards.summaries.service import (
    attainment_rows,
    drift_rows,
    latency_rows,
    load_rows,
    newest,
    service,
    spread_rows,
)
from planner.core.observation import Latencies, Quantiles
from planner.core.role import Role


def counts(**given: float | None) -> Counts:
    blank: dict[str, Any] = dict.fromkeys(Counts.__dataclass_fields__, 0.0)
    return Counts(**{**blank, "seconds": 5.0, **given})


def look(
    number: int, *, ready: int = 2, desired: int = 2, draining: int = 0, **given: object
) -> Look:
    values: dict[str, object] = {
        "id": number, "run": 1, "mode": "acts", "sla": "ttft=200ms", "at": 1000.0 + 5 * number,
        "changed": ready != desired, "traffic": None, "latencies": Latencies(), "age_seconds": 0.0,
        "gpus": ready, "gpus_desired": desired, "cost_desired": None, "predicted": None,
        "roles": {Role.DECODE: RoleLook(ready=ready, starting=0, draining=draining, current=ready,
                                        raw=desired, desired=desired)},
    }  # fmt: skip
    return Look(**{**values, **given})  # type: ignore[arg-type]


class TestService:
    def test_attainment_and_budget(self) -> None:
        looks = [
            look(1, traffic=counts(finished=98, within_sla=97, failed=2, arrived=100)),
            look(2, traffic=counts(finished=100, within_sla=100, arrived=50)),
            look(3),
        ]
        result = service(looks, attainment=0.98)
        assert result.ended == 200
        assert result.attainment == pytest.approx(0.985)
        assert result.budget_left == pytest.approx(0.25)
        assert result.arrived_rps == 15

    def test_an_overspent_budget_is_below_zero(self) -> None:
        looks = [look(1, traffic=counts(finished=100, within_sla=97))]
        assert service(looks, attainment=0.99).budget_left == pytest.approx(-2)

    def test_nothing_seen_is_unknown(self) -> None:
        result = service([look(1)], attainment=0.99)
        assert (result.attainment, result.budget_left, result.ttft, result.isl) == (None,) * 4

    def test_what_nobody_knows_is_left_out_of_the_attainment(self) -> None:
        unknown = counts(finished=500, within_sla=None, failed=1)
        looks = [look(1, traffic=counts(finished=100, within_sla=97)), look(2, traffic=unknown)]
        result = service(looks, attainment=0.97)
        assert (result.ended, result.judged) == (601, 100)
        assert result.attainment == pytest.approx(0.97)
        observed = [row["value"] for row in attainment_rows(looks) if row["series"] == "observed"]
        assert observed == [0.97, None]
        result = service([look(2, traffic=unknown)], attainment=0.97)
        assert (result.ended, result.judged) == (501, 0)
        assert (result.attainment, result.budget_left) == (None, None)

    def test_percentiles_are_of_intervals_by_their_requests(self) -> None:
        looks = [
            look(1, traffic=counts(ttft_sum=9.0, ttft_count=90)),
            look(2, traffic=counts(ttft_sum=5.0, ttft_count=10)),
        ]
        ttft = service(looks, attainment=0.99).ttft
        assert ttft is not None
        assert ttft.mean == pytest.approx(0.14)
        assert (ttft.p50, ttft.p95, ttft.p99) == pytest.approx((0.1, 0.5, 0.5))

    def test_percentiles_of_requests_are_those_of_each_interval(self) -> None:
        def told(number: int, p99: float) -> Look:
            quantiles = Quantiles(p50=p99 / 4, p95=p99 / 2, p99=p99)
            return look(number, latencies=Latencies(ttft=quantiles))

        looks = [told(1, 0.4), told(2, 0.8), look(3)]
        rows = spread_rows(looks, kind="ttft")
        assert [row["series"] for row in rows[:3]] == ["p50", "p95", "p99"]
        assert [row["value"] for row in rows] == [100, 200, 400, 200, 400, 800, None, None, None]
        assert newest(looks, kind="ttft") == looks[1].latencies.ttft
        assert newest(looks, kind="itl") is None
        # A point for two intervals is the higher of them.
        long = [told(2 * number + late, 0.8 if late else 0.4) for number in range(200)
                for late in (0, 1)]  # fmt: skip
        assert {row["value"] for row in spread_rows(long, kind="ttft")} == {200, 400, 800}

    def test_rows_keep_gaps(self) -> None:
        looks = [look(1, traffic=counts(itl_sum=0.2, itl_count=10, arrived=50)), look(2)]
        assert [row["value"] for row in load_rows(looks)] == [10.0, None]
        assert latency_rows(looks, kind="itl")[0] == {
            "at": 1005000, "series": "mean", "value": pytest.approx(20.0)
        }  # fmt: skip
        assert attainment_rows(looks)[2]["value"] is None

    def test_long_windows_are_drawn_with_few_points(self) -> None:
        looks = [look(number, traffic=counts(arrived=5)) for number in range(2000)]
        assert len(load_rows(looks)) == 200


class TestFleet:
    def test_lines_have_only_their_moves_and_their_end(self) -> None:
        looks = [look(1), look(2), look(3, desired=3), look(4, ready=3, desired=3)]
        rows = [
            (row["at"], row["series"], row["value"]) for row in replica_rows(looks, Role.DECODE)
        ]
        assert rows == [
            (1005000, "desired", 2), (1015000, "desired", 3), (1020000, "desired", 3),
            (1005000, "ready", 2), (1020000, "ready", 3),
        ]  # fmt: skip

    def test_an_unknown_role_leaves_a_gap(self) -> None:
        rows = replica_rows([look(1), look(2, roles={})], Role.DECODE)
        assert [row["value"] for row in rows if row["series"] == "ready"] == [2, None]

    def test_marks_are_of_what_moved(self) -> None:
        marks = change_rows([look(7, desired=3), look(8)], Role.DECODE)
        assert marks == [{"at": 1035000, "told": "decision 7: decode 2 -> 3"}]
        assert change_rows([look(7, desired=3)], Role.PREFILL) == []

    def test_gpus_are_those_decided_on_and_those_held(self) -> None:
        rows = gpu_rows([look(1, ready=2, desired=3)])
        assert [(row["series"], row["value"]) for row in rows] == [("decided", 3), ("held", 2)]


class TestCosts:
    def test_looks_count_until_the_next_one(self) -> None:
        looks = [look(number, traffic=counts(osl_sum=500)) for number in range(721)]
        spent = costs(looks, {})
        assert spent.total.hours == pytest.approx(1)
        assert spent.total.held == pytest.approx(2)
        assert spent.total.tokens == pytest.approx(360_000)
        held = {row["figure"]: row["held"] for row in table_rows(spent, price=3.0)}
        assert held == {
            "GPU-hours": "2.00", "GPU-hours a day": "48.00", "GPU-hours a million tokens": "5.56",
            "$": "$6.00", "$ a day": "$144.00", "$ a million tokens": "$16.67",
        }  # fmt: skip

    def test_draining_replicas_hold_their_gpus(self) -> None:
        looks = [look(number, draining=1) for number in range(721)]
        assert costs(looks, {1: {Role.DECODE: 4}}).total.held == pytest.approx(6)

    def test_time_that_nobody_looked_at_is_left_out(self) -> None:
        looks = [*(look(number) for number in range(10)), look(5000), look(5001)]
        assert costs(looks, {}).total.hours == pytest.approx(50 / 3600)

    def test_the_static_peak_stands_all_the_time(self) -> None:
        looks = [look(number, desired=6 if number == 3 else 2) for number in range(721)]
        spent = costs(looks, {})
        assert spent.static(spent.total) == pytest.approx(6)
        assert {row["series"] for row in day_rows(spent, price=None)} == {
            "held", "decided", "static peak"
        }  # fmt: skip

    def test_a_single_look_spans_no_time(self) -> None:
        assert costs([look(1)], {}).total.hours == 0

    def test_the_price_is_what_the_plan_was_made_with(self) -> None:
        assert known_price([look(1, cost_desired=7.0)]) == 3.5
        assert known_price([look(1)]) is None


class TestForecasts:
    history = History(
        expected=[
            Expected(made=0, due=60, replicas=2.0, headroom=1.5),
            Expected(made=5, due=65, replicas=4.0, headroom=1.5),
        ],
        came=[(30, 9.0), (60, 2.0), (64, 4.0), (65, 2.0)],
    )

    def test_each_demand_is_judged_by_the_forecast_made_for_it(self) -> None:
        judged = accuracy(Role.DECODE, self.history)
        assert judged is not None
        assert (judged.judged, judged.horizon_seconds) == (3, 60)
        assert judged.error == pytest.approx((0 + 2 + 2) / 8)
        assert judged.bias == pytest.approx(0)
        assert judged.covered == pytest.approx(2 / 3)

    def test_nothing_has_come_due(self) -> None:
        assert accuracy(Role.DECODE, History(expected=[], came=[(1, 2.0)])) is None

    def test_forecasts_are_drawn_when_they_come_due(self) -> None:
        rows = forecast_rows(self.history)
        assert {"at": 60_000, "series": "with headroom", "value": 3.0} in rows


@pytest.mark.parametrize(
    ("age", "gap", "late"), [(10, 5, False), (30, 5, True), (3, 0.5, False), (99, None, False)]
)
def test_a_planner_that_stopped(age: float, gap: float | None, late: bool) -> None:
    assert is_late(age, gap) is late


def test_the_usual_gap_of_every_third_look() -> None:
    assert usual_gap([look(1), look(4), look(7)], every=3) == 5


def test_lengths_drift_from_the_first_third_to_the_last() -> None:
    def seen(number: int, isl: float) -> Look:
        mean = {"arrived": 10, "isl_sum": 10 * isl, "finished": 5, "osl_sum": 1000}
        return look(number, traffic=counts(**mean))

    looks = [seen(1, 1000), seen(2, 9000), seen(3, 1100)]
    assert drift_rows(looks) == [
        {"": "ISL", "first third": "1,000", "last third": "1,100", "drift": "+10.0%"},
        {"": "OSL", "first third": "200", "last third": "200", "drift": "+0.0%"},
    ]
    assert drift_rows(looks[:2]) == []
    assert drift_rows([look(1), look(2), look(3)]) == []
