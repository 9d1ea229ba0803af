"""The lines of a plan: what each role becomes, and the command that does it."""

from pathlib import Path

import pytest

from connectors.circus.spec import DeploymentSpec
from planner.cli.control.acting import how_to_act
from planner.cli.decisions import decision_line, moves
from planner.cli.live.progress import countdown
from planner.config import from_deployment, from_environment, from_flags, settle
from planner.core.plan import Decision, Gpus, Plan
from planner.core.role import Role

SPEC = DeploymentSpec(
    namespace="n", endpoint="", store_url="", plane_url="", frontend_url="", log_directory="",
    roles={},
)  # fmt: skip


def decision(current: int, raw: int, desired: int, role: Role = Role.DECODE) -> Decision:
    return Decision(role=role, current=current, raw=raw, desired=desired, steps=())


@pytest.mark.parametrize(
    ("numbers", "line"),
    [
        pytest.param((2, 3, 3), "  + decode     2 -> 3 replicas (+1)", id="more"),
        pytest.param((4, 1, 2), "  - decode     4 -> 2 replicas (-2)", id="fewer"),
        pytest.param((4, 3, 4), "  ~ decode     4   (no change; the load asks for 3)", id="held"),
        pytest.param((4, 4, 4), "    decode     4   (no change)", id="as it is"),
    ],
)
def test_a_role_is_marked_by_what_becomes_of_it(numbers: tuple[int, int, int], line: str) -> None:
    assert decision_line(decision(*numbers)) == line


def test_roles_that_grow_and_roles_that_shrink_are_counted_apart() -> None:
    decisions = {
        Role.PREFILL: decision(1, 4, 4, Role.PREFILL),
        Role.DECODE: decision(5, 3, 3),
    }
    plan = Plan(
        at=0, decisions=decisions, gpus=Gpus(current=6, desired=7), cost_per_hour=None,
        attainment=None,
    )  # fmt: skip
    assert moves(plan) == (3, 2)


def test_what_acts_repeats_the_flags_and_nothing_else() -> None:
    settled = settle(
        from_deployment({"sla": "ttft=1s", "cold_start": "3s"}, path=Path("d")),
        from_environment({"PLANNER_INTERVAL": "2s"}),
        from_flags({"observe": True, "max_gpus": "8", "min": ("decode=2", "prefill=1")}),
    )
    assert how_to_act(settled, SPEC, config=None) == (
        "planner run --min decode=2,prefill=1 --max-gpus 8 --sla ttft=1s,attainment=99%"
    )
    assert how_to_act(settled, SPEC, config=Path("my file.toml")).startswith(
        "planner run --config 'my file.toml' "
    )


def test_a_fleet_that_planner_starts_can_be_acted_on_and_other_servers_cannot() -> None:
    flags = {"sla": ("ttft=1s",), "observe": True}
    servers = from_flags({**flags, "servers": ("aggregated=http://h:1",)})
    assert how_to_act(settle(servers), None, config=None) is None
    told = how_to_act(settle(from_flags({**flags, "fleet": "f.toml"})), None, config=None)
    assert told is not None
    assert "--fleet f.toml" in told


def test_a_countdown_tells_the_time_left() -> None:
    now = [0.0]
    describe = countdown("watching", 90, clock=lambda: now[0])
    assert describe() == "watching, 1m30s left"
    now[0] = 95.0
    assert describe() == "watching"
