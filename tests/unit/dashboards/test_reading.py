"""Windows and lists out of a journal, against what the journal itself says."""

import sqlite3
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from dashboards.reading.listing import Filter, listing
from dashboards.reading.source import Source
from dashboards.reading.window import span, window
from planner.core.observation import Latencies
from planner.core.plan import Reason
from planner.core.role import Role
from planner.errors import JournalError
from planner.journal import Journal, Query
from planner.journal.schema import connect_reader


@pytest.fixture
def database(filled: Path) -> Iterator[sqlite3.Connection]:
    opened = connect_reader(filled)
    opened.row_factory = sqlite3.Row
    yield opened
    opened.close()


def test_a_window_that_fits_is_read_whole(database: sqlite3.Connection, filled: Path) -> None:
    whole = span(database, filled)
    assert whole is not None
    read = window(database, filled, whole)
    assert read.is_whole
    assert [look.id for look in read.looks] == list(range(1, 125))


@pytest.mark.parametrize("most", [1, 7, 50, 123])
def test_a_long_window_is_spaced_evenly_and_ends_with_the_latest(
    database: sqlite3.Connection, filled: Path, most: int
) -> None:
    whole = span(database, filled)
    assert whole is not None
    read = window(database, filled, whole, most=most)
    ids = [look.id for look in read.looks]
    assert ids[-1] == 124
    assert len(ids) <= most + 1
    assert {after - before for before, after in pairwise(ids)} <= {read.every}


@pytest.mark.parametrize("journal", ["filled", "spread"])
def test_looks_say_what_the_records_say(request: pytest.FixtureRequest, journal: str) -> None:
    source = Source(request.getfixturevalue(journal))
    whole = source.span()
    assert whole is not None
    for look in source.window(whole).looks:
        entry = source.record(look.id).entry
        if entry.observation is None or entry.plan is None:
            assert not look.roles
            continue
        traffic = entry.observation.traffic
        assert (look.traffic is None) == (traffic is None or not traffic.seconds)
        if look.traffic is not None and traffic is not None:
            assert look.traffic.within_sla == traffic.within_sla
            assert look.traffic.ttft_sum == traffic.ttft_sum
        told = entry.observation.latencies or Latencies()
        assert look.latencies == told
        for role, decision in entry.plan.decisions.items():
            assert look.roles[role].desired == decision.desired
            assert look.roles[role].ready == entry.observation.replicas(role).ready
        assert look.cost_desired == entry.plan.cost_per_hour
        assert look.gpus == entry.plan.gpus.current


@pytest.mark.parametrize(
    ("chosen", "query"),
    [
        (Filter(), Query(limit=200)),
        (Filter(changed=True), Query(changed=True, limit=200)),
        (Filter(role=Role.DECODE), Query(role=Role.DECODE, limit=200)),
        (Filter(reason=Reason.DEMAND_FORECAST), Query(reason=Reason.DEMAND_FORECAST, limit=200)),
        (
            Filter(reason=Reason.SCALE_DOWN_STABILIZED, role=Role.PREFILL, changed=True),
            Query(reason=Reason.SCALE_DOWN_STABILIZED, role=Role.PREFILL, changed=True, limit=200),
        ),
        (Filter(reason=Reason.GPU_BUDGET), Query(reason=Reason.GPU_BUDGET, limit=200)),
    ],
    ids=["all", "changed", "role", "reason", "everything", "none"],
)
def test_the_list_is_the_journals(
    database: sqlite3.Connection, filled: Path, chosen: Filter, query: Query
) -> None:
    whole = span(database, filled)
    assert whole is not None
    listed = listing(database, filled, whole, chosen=chosen)
    with Journal.read(filled) as journal:
        assert [one.look.id for one in listed] == [record.id for record in journal.query(query)]


def test_the_list_names_reasons_by_role(database: sqlite3.Connection, filled: Path) -> None:
    whole = span(database, filled)
    assert whole is not None
    one = next(o for o in listing(database, filled, whole, chosen=Filter()) if o.look.id == 100)
    entry = Source(filled).record(100).entry
    assert entry.plan is not None
    wanted = {(role, s.reason) for role, d in entry.plan.decisions.items() for s in d.steps}
    assert set(one.reasons) == wanted


def test_a_part_of_the_time(filled: Path) -> None:
    source = Source(filled)
    part = source.span(60.0)
    assert part is not None
    assert (part.first, part.last) == (112, 124)
    assert source.troubles(part)[0].note == "frontend-1 does not answer"


def test_what_is_no_journal_is_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database")
    for name in ("text", "missing"):
        with pytest.raises(JournalError):
            Source(tmp_path / name).span()
