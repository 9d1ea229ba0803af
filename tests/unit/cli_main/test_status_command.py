"""`planner status`: one look for people and programs, and a look again and again."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from connectors.circus.spec import DeploymentSpec, RoleSpec, spec_path
from planner.cli.local import board, watch
from planner.cli.local.document import document
from planner.cli.local.lock import hold_lock
from planner.cli.local.status import FrontendStatus, Status, look
from planner.cli.main import main
from planner.core.observation import Observation, Replicas, RoleLoad, Traffic
from planner.core.plan import Decision, Gpus, Plan, Reason, Step
from planner.core.role import Role
from planner.journal import Entry, Journal, Record, Run

AT = 1000.0
SPEC = DeploymentSpec(
    namespace="n", endpoint="ipc:///nowhere", store_url="etcd://127.0.0.1:9", plane_url="",
    frontend_url="http://127.0.0.1:9", log_directory="", roles={}, sla="ttft=1s",
)  # fmt: skip
SERVED = replace(
    SPEC, sla=None, store_url="", frontend_url="",
    roles={Role.AGGREGATED: RoleSpec(command=("x",), first_port=1)},
)  # fmt: skip
FRONTEND = FrontendStatus(
    url="http://127.0.0.1:9", healthy=True, models=["m"], in_flight=1, queued=0
)


def traffic(finished: int, within: int | None, *, failed: int = 0) -> Traffic:
    return Traffic(
        seconds=5, arrived=9, isl_sum=9, isl_squared_sum=9, finished=finished, osl_sum=9,
        within_sla=within, failed=failed,
    )  # fmt: skip


def entry(at: float, *, desired: int = 3, seen: Traffic | None = None, **more: object) -> Entry:
    steps = (Step(reason=Reason.TOO_FEW_REPLICAS, before=2, after=3, inputs={"minimum": 3}),)
    decision = Decision(role=Role.DECODE, current=2, raw=2, desired=desired, steps=steps)
    return Entry(
        at=at,
        observation=Observation(
            at=at,
            fleet={},
            traffic=seen,
            load={Role.DECODE: RoleLoad(waiting=4, running=7, kv_usage=0.314)},
            age_seconds=0.5,
        ),
        plan=Plan(
            at=at, decisions={Role.DECODE: decision}, gpus=Gpus(current=2, desired=3),
            cost_per_hour=None, attainment=None,
        ),
        outcome="applied",
        **more,
    )  # fmt: skip


def record(number: int, made: Entry) -> Record:
    return Record(id=number, run=1, mode="acts", sla="ttft=1s", entry=made)


def status(**changes: object) -> Status:
    made = Status(
        spec=SPEC,
        fleet={Role.DECODE: Replicas(ready=2, starting=1, draining=1)},
        problem=None,
        frontend=FRONTEND,
        servers=None,
        lately=[
            record(8, entry(AT - 2, seen=traffic(10, 9))),
            record(7, entry(AT - 7, seen=traffic(10, 10))),
            record(6, entry(AT - 70, seen=traffic(10, 0))),
        ],
        at=AT,
    )
    return replace(made, **changes)


def test_a_look_tells_who_serves_how_well_and_why() -> None:
    seen = status()
    assert board.head(seen) == [
        "http://127.0.0.1:9 serves m   1 request in flight, 0 queued",
        "SLA ttft=1s   kept for 95% of 20 requests in 10s",
    ]
    assert dict(zip(board.COLUMNS, board.rows(seen)[0], strict=True)) == {
        "role": "decode", "desired": 3, "requested": 3, "ready": 2, "starting": 1, "draining": 1,
        "waiting": 4, "KV": "31%",
    }  # fmt: skip
    assert board.foot(seen) == [
        "Decision 8, 2s ago on metrics 500ms old: decode 2 -> 3 (applied)",
        "  decode     TooFewReplicas: the minimum is 3",
    ]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        pytest.param({"lately": []}, "No planner has decided anything yet", id="no planner"),
        pytest.param(
            {"lately": []}, "SLA ttft=1s   no request ended in the last minute", id="no traffic"
        ),
        pytest.param(
            {"lately": [record(8, entry(AT - 2, seen=traffic(10, None)))]},
            "SLA ttft=1s   10 requests in 5s; nobody tells which of them were late",
            id="lateness unknown",
        ),
        pytest.param(
            {"lately": [record(8, entry(AT - 2, seen=traffic(8, 8, failed=2)))]},
            "SLA ttft=1s   kept for 80% of 10 requests in 5s", id="failed",
        ),
        pytest.param(
            {"lately": [record(8, entry(AT - 2, seen=traffic(0, 0, failed=2)))]},
            "SLA ttft=1s   kept for 0% of 2 requests in 5s", id="all failed",
        ),
        pytest.param(
            {"fleet": None, "problem": "etcd is away"}, "Replicas are unknown: etcd is away",
            id="no store",
        ),
        pytest.param(
            {"frontend": replace(FRONTEND, healthy=False)}, "http://127.0.0.1:9 does not answer",
            id="no frontend",
        ),
        pytest.param(
            {"frontend": None, "servers": {"aggregated": ["http://h:1", "http://h:2"]}},
            "Servers to send to: aggregated http://h:1 http://h:2", id="servers",
        ),
        pytest.param(
            {"frontend": None, "servers": {"aggregated": []}},
            "Servers to send to: none is ready", id="no server",
        ),
        pytest.param(
            {"spec": SERVED}, "SLA ttft=1s   kept for 95% of 20 requests in 10s",
            id="the planner's SLA",
        ),
    ],
)  # fmt: skip
def test_what_is_missing_is_said(changes: dict[str, object], line: str) -> None:
    seen = status(**changes)
    assert line in [*board.head(seen), *board.foot(seen)]


def test_a_look_for_programs(tmp_path) -> None:
    told = document(status(), tmp_path)
    assert told["replicas"] == {
        "decode": {
            "desired": 3, "requested": 3, "ready": 2, "starting": 1, "draining": 1, "waiting": 4,
            "running": 7, "kv_usage": 0.314, "reason": "TooFewReplicas",
        }
    }  # fmt: skip
    assert told["last_decision"]["age_seconds"] == 2.0
    assert told["last_decision"]["metrics_age_seconds"] == 0.5
    assert (told["attained"].share, told["attained"].finished) == (0.95, 20)
    assert document(None, tmp_path) == {"running": False, "state_dir": str(tmp_path)}
    assert document(status(fleet=None, problem="x"), tmp_path)["replicas"] is None


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Callable[[Iterable[Status | None]], None]:
    """Let `watch` see one status after the other, and be interrupted then."""

    def see(statuses: Iterable[Status | None]) -> None:
        left = iter(statuses)

        def next_look(_: object) -> Status | None:
            try:
                return next(left)
            except StopIteration:
                raise KeyboardInterrupt from None

        monkeypatch.setattr(watch, "_look", next_look)
        monkeypatch.setattr(watch.time, "sleep", lambda _: None)

    return see


def test_each_change_is_a_block_where_nothing_can_be_redrawn(looks, tmp_path, capsys) -> None:
    grown = status(fleet={Role.DECODE: Replicas(ready=3)})
    looks([status(), status(at=AT + 2), grown, None, None])
    watch.watch(tmp_path, "table")
    blocks = capsys.readouterr().out.rstrip("\n").split("\n\n")
    assert len(blocks) == 3
    assert "\x1b" not in "".join(blocks)
    assert blocks[-1].splitlines()[1] == f"no deployment runs in {tmp_path}"


def test_each_change_is_a_line_of_json(looks, tmp_path, capsys) -> None:
    looks([status(), status(at=AT + 2), None])
    watch.watch(tmp_path, "json")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["running"] for line in lines] == [True, False]
    assert lines[0]["replicas"]["decode"]["starting"] == 1
    assert lines[0]["at"] > 0


def test_on_a_terminal_it_is_drawn_over(looks, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(watch, "is_interactive", lambda _: True)
    looks([status(), status(), None])
    watch.watch(tmp_path, "table")
    assert "no deployment runs in" in capsys.readouterr().out


def test_watching_ends_with_0_on_ctrl_c_and_needs_something_to_watch(
    looks, tmp_path, capsys
) -> None:
    assert main(["status", "--watch", "--state-dir", str(tmp_path)]) == 1
    assert "no deployment runs in" in capsys.readouterr().err
    looks([status()])
    with hold_lock(tmp_path):
        assert main(["status", "--watch", "--state-dir", str(tmp_path)]) == 0


async def test_decisions_of_the_planner_that_acts_count(tmp_path) -> None:
    path = spec_path(tmp_path)
    SERVED.save(path)
    began = path.stat().st_mtime
    (tmp_path / "servers.json").write_text('{"servers": {"aggregated": ["http://h:1"]}}')
    with Journal.open(tmp_path / "journal.sqlite") as journal:
        acts, observes = (
            journal.begin(Run(started=0.0, mode=mode, sla="ttft=1s"))
            for mode in ("acts", "observes")
        )
        journal.append(acts, entry(began - 5))
        mine = [journal.append(acts, entry(began + second)) for second in (0.1, 0.2)]
        journal.append(observes, entry(began + 0.3))
    seen = await look(tmp_path)
    assert [one.id for one in seen.lately] == mine[::-1]
    assert seen.servers == {"aggregated": ["http://h:1"]}
    assert (seen.frontend, seen.fleet) == (None, None)
    assert seen.problem
