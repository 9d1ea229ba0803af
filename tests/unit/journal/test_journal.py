"""The journal keeps every decision with its inputs, finds them again, and stays bounded."""

import pytest

from planner.core.observation import Observation, Replicas, Traffic
from planner.core.plan import Decision, Gpus, Plan, Reason, Step
from planner.core.role import Role
from planner.core.state import PolicyState
from planner.errors import JournalError
from planner.journal import Entry, Journal, Query, Run

RUN = Run(
    started=1000.0,
    mode="acts",
    sla="ttft=200ms,itl=20ms",
    config={"max_gpus": 8},
    initial_state=PolicyState(at=990.0),
)


def plan(
    at: float, *, desired: int, reason: Reason = Reason.DEMAND_FORECAST, role: Role = Role.DECODE
) -> Plan:
    step = Step(reason=reason, before=2, after=desired, inputs={"demand_rps": 1.5})
    decision = Decision(role=role, current=2, raw=desired, desired=desired, steps=(step,))
    return Plan(
        at=at,
        decisions={role: decision},
        gpus=Gpus(current=2, desired=desired),
        cost_per_hour=None,
        attainment=None,
    )


def entry(at: float, *, desired: int = 2, **choices) -> Entry:
    traffic = Traffic(seconds=5, arrived=3, isl_sum=30, isl_squared_sum=300, finished=2, osl_sum=20)
    fleet = {Role.DECODE: Replicas(ready=2, starting=1)}
    observation = Observation(at=at, fleet=fleet, traffic=traffic)
    return Entry(at=at, observation=observation, plan=plan(at, desired=desired, **choices))


@pytest.fixture
def journal(tmp_path):
    with Journal.open(tmp_path / "state" / "journal.sqlite") as journal:
        yield journal


def test_an_entry_comes_back_as_it_went_in(journal):
    run = journal.begin(RUN)
    written = Entry(
        at=1005.0,
        observation=entry(1005.0).observation,
        plan=plan(1005.0, desired=3),
        outcome="applied",
        started=("decode-3",),
        draining=("decode-1",),
        note="slow",
    )
    record = journal.get(journal.append(run, written))
    assert record.entry == written
    assert (record.run, record.mode, record.sla) == (run, "acts", RUN.sla)
    assert record.changed


def test_a_turn_that_saw_nothing_is_kept_with_its_note(journal):
    run = journal.begin(RUN)
    journal.append(run, Entry(at=1.0, observation=None, plan=None, note="MetricsUnavailable"))
    latest = journal.latest()
    assert latest is not None
    assert latest.entry.plan is None
    assert not latest.changed
    assert len(journal.query(Query(changed=True))) == 1


def test_an_empty_journal_has_no_latest_and_no_state(journal):
    assert journal.latest() is None
    assert journal.state() is None
    assert journal.query(Query()) == []


def test_runs_are_kept_with_their_configuration(journal):
    journal.begin(RUN)
    (run,) = journal.runs()
    assert run.config == {"max_gpus": 8}
    assert run.initial_state == RUN.initial_state
    assert run.mode == "acts"


QUERIES = [
    pytest.param(Query(), [5, 4, 3, 2, 1], id="all, newest first"),
    pytest.param(Query(limit=2), [5, 4], id="limit"),
    pytest.param(Query(since=1003.0), [5, 4, 3], id="since"),
    pytest.param(Query(role=Role.PREFILL), [4], id="role"),
    pytest.param(Query(reason=Reason.BACKLOG), [4, 2], id="reason"),
    pytest.param(Query(reason=Reason.BACKLOG, role=Role.DECODE), [2], id="reason of a role"),
    pytest.param(Query(changed=True), [5, 2], id="changed"),
    pytest.param(Query(changed=True, since=1003.0), [5], id="changed since"),
    pytest.param(Query(run=1), [3, 2, 1], id="run"),
]


@pytest.mark.parametrize(("query", "found"), QUERIES)
def test_queries(journal, query, found):
    first = journal.begin(RUN)
    for at, desired, reason in [
        (1001.0, 2, Reason.WITHIN_TOLERANCE),
        (1002.0, 3, Reason.BACKLOG),
        (1003.0, 2, Reason.WITHIN_TOLERANCE),
    ]:
        journal.append(first, entry(at, desired=desired, reason=reason))
    second = journal.begin(RUN)
    journal.append(second, entry(1004.0, reason=Reason.BACKLOG, role=Role.PREFILL))
    journal.append(second, entry(1005.0, desired=1))
    assert [record.id for record in journal.query(query)] == found


def test_the_latest_state_survives_reopening(tmp_path):
    path = tmp_path / "j.sqlite"
    with Journal.open(path) as journal:
        run = journal.begin(RUN)
        journal.append(run, entry(1.0), state=PolicyState(at=1.5))
        journal.append(run, entry(2.0), state=PolicyState(at=2.5))
        journal.append(run, entry(3.0))
    with Journal.open(path) as journal:
        assert journal.state() == PolicyState(at=2.5)
        assert len(journal.query(Query())) == 3


def test_replay_gives_one_run_in_order(journal):
    first, second = journal.begin(RUN), journal.begin(RUN)
    for at in (1.0, 2.0, 3.0):
        journal.append(first, entry(at))
        journal.append(second, entry(at + 100))
    assert [record.entry.at for record in journal.replay(second)] == [101.0, 102.0, 103.0]


def test_a_run_without_its_beginning_is_not_replayed(journal):
    run = journal.begin(RUN)
    for at in (1.0, 2.0, 3.0):
        journal.append(run, entry(at))
    assert journal.prune(kept=2) == 1
    with pytest.raises(JournalError, match="pruned"):
        journal.replay(run)


def test_pruning_by_age_drops_old_runs_with_their_reasons(journal):
    old, new = journal.begin(RUN), journal.begin(RUN)
    journal.append(old, entry(1.0, reason=Reason.BACKLOG))
    journal.append(new, entry(100.0, reason=Reason.BACKLOG))
    assert journal.prune(before=50.0) == 1
    assert [run.id for run in journal.runs()] == [new]
    assert [record.entry.at for record in journal.query(Query(reason=Reason.BACKLOG))] == [100.0]


def test_a_run_that_has_not_decided_yet_survives_pruning(journal):
    run = journal.begin(RUN)
    journal.prune(kept=0, before=1e9)
    assert [r.id for r in journal.runs()] == [run]


def test_growth_is_bounded_while_appending(tmp_path):
    with Journal.open(tmp_path / "j.sqlite", kept=10) as journal:
        run = journal.begin(RUN)
        for at in range(1000):
            journal.append(run, entry(float(at)))
        assert len(journal.query(Query(limit=10_000))) == 10


@pytest.mark.parametrize(
    "missing", [pytest.param("get", id="id"), pytest.param("replay", id="run")]
)
def test_an_unknown_number_is_told(journal, missing):
    with pytest.raises(JournalError, match="99: not in"):
        getattr(journal, missing)(99)


def test_decisions_of_one_kind_of_planner_can_be_asked_for(tmp_path):
    with Journal.open(tmp_path / "journal.sqlite") as journal:
        for mode in ("observes", "acts", "observes"):
            run = journal.begin(Run(started=1.0, mode=mode, sla="ttft=200ms"))
            journal.append(run, Entry(at=2.0, observation=None, plan=None))

        assert [r.id for r in journal.query(Query(mode="acts"))] == [2]
        assert [r.id for r in journal.query(Query(mode="observes"))] == [3, 1]
