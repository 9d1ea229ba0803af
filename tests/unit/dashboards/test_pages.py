"""Every page and every control of it, against journals that are missing, bare and filled."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("streamlit", reason="the dashboard extra is not installed")

import streamlit
from streamlit.testing.v1 import AppTest

import dashboards
from planner.errors import JournalError

PAGES = ("overview", "decisions", "forecast", "capacity", "what_if", "cost", "health")
WITHOUT_JOURNAL = ("capacity", "what_if")
_PATIENCE = 240.0
"""Seconds that a page may take: the first simulation on a machine compiles the simulator."""
VEGA = "vega_lite_chart"
_VIEWS = Path(dashboards.__file__).parent / "views"

Opened = Callable[..., AppTest]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Return what opens a page on a journal."""

    def open_page(name: str, journal: Path | None) -> AppTest:
        if journal is None:
            monkeypatch.delenv("PLANNER_JOURNAL", raising=False)
        else:
            monkeypatch.setenv("PLANNER_JOURNAL", str(journal))
        streamlit.cache_resource.clear()
        return checked(
            AppTest.from_file(str(_VIEWS / f"{name}.py"), default_timeout=_PATIENCE).run()
        )

    return open_page


def checked(page: AppTest) -> AppTest:
    assert not page.exception, page.exception
    assert len(page.title) == 1
    return page


def texts(page: AppTest) -> str:
    kinds = ("markdown", "caption", "info", "success", "warning", "error", "subheader")
    return "\n".join(element.value for kind in kinds for element in getattr(page, kind))


def drawn(chart: dict[str, Any]) -> dict[str, float]:
    """Return the last point of each line."""
    return {row["series"]: row["value"] for row in chart["layer"][0]["data"]["values"]}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_a_filled_journal(opened: Opened, filled: Path, name: str) -> None:
    page = opened(name, filled)
    assert not page.info
    assert page.metric or page.table or page.slider


@pytest.mark.parametrize("name", [name for name in PAGES if name not in WITHOUT_JOURNAL])
def test_a_page_without_a_journal_says_what_to_run(
    opened: Opened, tmp_path: Path, bare: Path, name: str
) -> None:
    for journal, told in (
        (None, "no journal is named"),
        (tmp_path / "none.sqlite", "no journal at"),
        (bare, "No decision is in"),
    ):
        page = opened(name, journal)
        assert told in page.info[0].value
        assert page.code[0].value.startswith("planner ")


@pytest.mark.parametrize("name", WITHOUT_JOURNAL)
def test_profiles_and_what_if_need_no_journal(opened: Opened, bare: Path, name: str) -> None:
    for journal in (None, bare):
        assert not opened(name, journal).info


def test_the_application_opens_on_the_overview(
    monkeypatch: pytest.MonkeyPatch, filled: Path
) -> None:
    monkeypatch.setenv("PLANNER_JOURNAL", str(filled))
    app = AppTest.from_file(str(_VIEWS.parent / "app.py"), default_timeout=_PATIENCE).run()
    assert checked(app).title[0].value == "Overview"


@pytest.mark.parametrize("chosen", ["1h", "6h", "24h", "7d", "all"])
def test_the_overview_of_a_time(opened: Opened, filled: Path, chosen: str) -> None:
    page = opened("overview", filled)
    checked(page.segmented_control(key="time").set_value(chosen).run())
    told = texts(page)
    assert "requests were inside ttft=500ms,itl=50ms,attainment=99%" in told
    assert "Decision 124 at" in told
    figures = {metric.label: metric.value for metric in page.metric}
    assert figures["Cost per hour"].startswith("$")
    assert "prefill: ready / desired" in figures


def test_the_overview_tells_means_from_percentiles(opened: Opened, filled: Path) -> None:
    assert "The journal keeps sums, not single requests" in texts(opened("overview", filled))


def test_the_overview_tells_the_percentiles_of_requests_where_they_are_known(
    opened: Opened, spread: Path
) -> None:
    page = opened("overview", spread)
    told = texts(page)
    assert "; last interval p50 120ms, p95 340ms, p99 560ms" in told
    assert "p50, p95 and p99 are those of the requests of each interval" in told
    assert "The journal keeps sums, not single requests" in told  # of ITL nothing tells them
    charts = {chart.proto.alt: json.loads(chart.proto.spec) for chart in page.get(VEGA)}
    assert drawn(charts["TTFT"]) == {"p50": 120, "p95": 340, "p99": 560}
    assert charts["TTFT"]["layer"][1]["data"]["values"][0]["label"] == "target 500ms"
    assert drawn(charts["ITL"]).keys() == {"mean", "slowest interval"}


def test_the_overview_takes_unknown_for_unknown(opened: Opened, untold: Path) -> None:
    page = opened("overview", untold)
    assert "is met is unknown: nothing tells how requests did" in texts(page)
    assert {metric.label: metric.value for metric in page.metric}["Attainment"] == "-"


class TestDecisions:
    def test_the_newest_is_explained(self, opened: Opened, filled: Path) -> None:
        page = opened("decisions", filled)
        told = texts(page)
        assert "Decision 124" in told
        assert "the load alone asks for" in told
        assert "Saw: " in told
        steps, alternatives = page.table[0].value, page.table[1].value
        assert list(steps.columns) == ["replicas", "why", "inputs"]
        assert len(alternatives) == 3
        assert alternatives["cost per hour"].str.startswith("$").all()

    def test_filters(self, opened: Opened, filled: Path) -> None:
        page = opened("decisions", filled)
        everything = len(page.dataframe[0].value)
        checked(page.toggle(key="changed").set_value(True).run())
        changes = page.dataframe[0].value
        assert 0 < len(changes) < everything
        assert "frontend-1 does not answer" in set(changes["result"])
        checked(page.selectbox(key="role").set_value("decode").run())
        checked(page.selectbox(key="reason").set_value("ScaleDownStabilized").run())
        checked(page.toggle(key="changed").set_value(False).run())
        found = page.dataframe[0].value
        assert found["why"].str.contains("decode: ScaleDownStabilized").all()

    def test_a_filter_that_lets_nothing_through(self, opened: Opened, filled: Path) -> None:
        page = opened("decisions", filled)
        checked(page.selectbox(key="reason").set_value("GpuBudget").run())
        assert "No decision matches" in page.info[0].value

    def test_one_that_saw_nothing(self, opened: Opened, filled: Path) -> None:
        page = opened("decisions", filled)
        checked(page.toggle(key="changed").set_value(True).run())
        assert "frontend-1 does not answer" in texts(page)

    def test_refresh(self, opened: Opened, filled: Path) -> None:
        checked(opened("decisions", filled).button(key="refresh").click().run())


def test_forecasts_are_judged(opened: Opened, filled: Path) -> None:
    judged = opened("forecast", filled).table[0].value
    assert list(judged["role"]) == ["prefill", "decode"]
    assert list(judged["ahead"]) == ["1m5s", "1m5s"]


def test_forecasters_are_ranked_by_role(opened: Opened, filled: Path) -> None:
    page = opened("forecast", filled)
    ranking = page.table[1].value
    assert set(ranking["forecaster"]) > {"last value", "level", "damped trend"}
    assert ranking["1m5s ahead"].str.contains("(leads)", regex=False).sum() == 1
    assert page.segmented_control(key="role").value == "prefill"
    checked(page.segmented_control(key="role").set_value("decode").run())
    assert not page.table[1].value.equals(ranking)
    drift = page.table[2].value
    assert list(drift[""]) == ["ISL", "OSL"]
    assert list(drift["drift"]) == ["+0.0%", "+0.0%"]


def test_too_few_forecasts_to_rank(opened: Opened, untold: Path) -> None:
    assert "Too few forecasts have come due" in texts(opened("forecast", untold))


class TestCapacity:
    def test_of_the_running_profile(self, opened: Opened, filled: Path) -> None:
        told = texts(opened("capacity", filled))
        assert "The fleet is marked" in told
        assert "The ITL target asks for 20 tokens/s" in told

    def test_of_another_profile_and_context(self, opened: Opened, filled: Path) -> None:
        page = opened("capacity", filled)
        checked(page.selectbox(key="profile").set_value("qwen3-32b-h200").run())
        assert "The fleet is marked" not in texts(page)
        checked(page.slider(key="context").set_value(8192).run())
        assert "8,192 tokens" in texts(page)


class TestCost:
    def test_against_the_static_peak(self, opened: Opened, filled: Path) -> None:
        table = opened("cost", filled).table[0].value
        assert list(table.columns) == ["figure", "held", "decided", "static peak"]
        assert "$ a day" in set(table["figure"])

    def test_a_price_where_the_journal_has_none(
        self, opened: Opened, filled: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("dashboards.summaries.cost.known_price", lambda _: None)
        page = opened("cost", filled)
        assert "$ a day" not in set(page.table[0].value["figure"])
        checked(page.number_input(key="price").set_value(2.0).run())
        assert "$ a day" in set(page.table[0].value["figure"])


class TestForesight:
    def test_it_is_searched_for_when_asked_to(self, opened: Opened, filled: Path) -> None:
        page = opened("cost", filled)
        assert len(page.table) == 1
        checked(page.button(key="foresight").click().run())
        found = page.table[1].value.set_index("fleet")
        assert list(found.index) == [
            "held", "decided", "static peak", "perfect foresight", "the work alone"
        ]  # fmt: skip
        assert found.loc["perfect foresight", "times foresight"] == "1.00x"
        assert float(found.loc["held", "GPU-hours"]) > float(
            found.loc["perfect foresight", "GPU-hours"]
        )
        assert found.loc["held", "$"].startswith("$")
        # It stays when the page refreshes itself.
        checked(page.run())
        assert len(page.table) == 2

    def test_a_time_without_requests(self, opened: Opened, filled: Path, tmp_path: Path) -> None:
        path = Path(shutil.copy(filled, tmp_path / "quiet.sqlite"))
        with closing(sqlite3.connect(path)) as database:
            database.execute(
                "UPDATE decisions SET observation = json_set(observation,"
                " '$.traffic.finished', 0) WHERE observation IS NOT NULL"
            )
            database.commit()
        page = opened("cost", path)
        checked(page.button(key="foresight").click().run())
        assert "how long outputs are is unknown" in texts(page)

    def test_an_infeasible_or_unreadable_journal_is_told(
        self, opened: Opened, filled: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise JournalError("no such table")

        monkeypatch.setattr("dashboards.views.foresight.foresight", fail)
        page = opened("cost", filled)
        checked(page.button(key="foresight").click().run())
        assert "no such table." in texts(page)


def test_health_tells_what_went_wrong_and_who_acts(opened: Opened, filled: Path) -> None:
    page = opened("health", filled)
    assert "The planner does not run, or it hangs" in page.error[0].value
    _, troubles, moved, runs = (table.value for table in page.table)
    assert list(troubles["what"]) == ["frontend-1 does not answer"]
    assert "decode-9" in set(moved["started"])
    assert list(runs["planner"]) == ["acts"]


@pytest.mark.parametrize("name", PAGES)
def test_a_run_of_another_version_is_shown_as_far_as_it_goes(
    opened: Opened, filled: Path, tmp_path: Path, name: str
) -> None:
    path = Path(shutil.copy(filled, tmp_path / "old.sqlite"))
    with closing(sqlite3.connect(path)) as database:
        database.execute(
            'UPDATE runs SET initial_state = \'{"schema_version": "0"}\','
            ' config = \'{"policy": {"of": "old"}, "profile": {"of": "old"}}\''
        )
        database.commit()
    page = opened(name, path)
    assert [told.value for told in page.info] in (
        [], ["The latest run decided without a profile, or was of another version of planner."]
    )  # fmt: skip


class TestWhatIf:
    def test_two_settings_side_by_side(self, opened: Opened) -> None:
        page = opened("what_if", None)
        table = page.table[0].value.set_index("figure")
        assert list(table.columns) == ["A", "B"]
        assert table.loc["cost", "A"] == "no price"
        assert table.loc["attainment", "A"] != table.loc["attainment", "B"]

    def test_every_control(self, opened: Opened) -> None:
        page = opened("what_if", None)
        page.number_input(key="price").set_value(3.0)
        for key, value in (("minutes", 10), ("rate", 10), ("trough", 50), ("period", 5),
                           ("isl", 1024), ("osl", 128), ("a_ttft", 400), ("a_itl", 40),
                           ("a_share", 95.0), ("a_cold", 30), ("a_gpus", 8),
                           ("a_headroom", 1.2)):  # fmt: skip
            page.slider(key=key).set_value(value)
        page.segmented_control(key="b_roles").set_value("aggregated")
        page.toggle(key="frontier").set_value(True)
        checked(page.run())
        assert not page.error
        assert page.table[0].value.set_index("figure").loc["cost", "A"].startswith("$")
        assert "--sla ttft=400ms,itl=40ms,attainment=95%" in page.code[0].value
        assert "--max-gpus 8" in page.code[0].value

    def test_a_recorded_load(self, opened: Opened) -> None:
        page = opened("what_if", None)
        page.segmented_control(key="load").set_value("recorded")
        checked(page.run())
        checked(page.slider(key="times").set_value(2).run())
        assert "2,890 requests" in texts(page)

    def test_a_load_of_ones_own_is_asked_for(self, opened: Opened) -> None:
        page = opened("what_if", None)
        checked(page.segmented_control(key="load").set_value("upload").run())
        assert "Azure CSV" in page.info[0].value

    def test_too_large_a_load_is_refused(self, opened: Opened) -> None:
        page = opened("what_if", None)
        page.slider(key="rate").set_value(100)
        checked(page.slider(key="minutes").set_value(120).run())
        assert "at most 200,000 are simulated" in page.error[0].value

    def test_an_infeasible_side_is_told_and_the_other_is_shown(self, opened: Opened) -> None:
        page = opened("what_if", None)
        checked(page.slider(key="a_ttft").set_value(50).run())
        assert page.error[0].value.startswith("Setting A: ")
        assert list(page.table[0].value.columns) == ["figure", "B"]

    def test_without_any_target(self, opened: Opened) -> None:
        page = opened("what_if", None)
        page.slider(key="a_ttft").set_value(0)
        checked(page.slider(key="a_itl").set_value(0).run())
        assert "an SLA needs" in page.error[0].value

    def test_an_address_brings_its_settings(
        self, monkeypatch: pytest.MonkeyPatch, opened: Opened
    ) -> None:
        monkeypatch.delenv("PLANNER_JOURNAL", raising=False)
        page = AppTest.from_file(str(_VIEWS / "what_if.py"), default_timeout=_PATIENCE)
        page.query_params["rate"] = "12"
        page.query_params["a_cold"] = "120"
        checked(page.run())
        assert page.slider(key="rate").value == 12
        assert page.slider(key="a_cold").value == 120
