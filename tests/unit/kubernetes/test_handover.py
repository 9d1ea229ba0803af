"""What a planner leaves at its Lease, and what another one makes of it."""

from dataclasses import replace

import pytest

from planner.cli.control.handover import Handover
from planner.core.role import Role
from planner.core.state import PolicyState, RoleMemory

STATE = PolicyState(at=12.5, since=3.0, roles={Role.DECODE: RoleMemory(ready=3, slowness=1.1)})


def test_what_one_leaves_another_finds() -> None:
    first, lease = Handover(dict), {}
    first.leave("chat", lambda: STATE)
    lease = dict(first.annotated({"kubectl/note": "kept"}))
    second = Handover(lambda: lease)

    assert second.found("chat") == STATE
    assert second.found("code") is None
    assert lease["kubectl/note"] == "kept"


def test_what_was_left_stays_until_something_newer_is_known() -> None:
    first = Handover(dict)
    first.leave("chat", lambda: STATE)
    first.leave("code", lambda: STATE)
    lease = dict(first.annotated({}))
    second = Handover(lambda: lease)
    newer = replace(STATE, at=20.0)
    second.leave("chat", lambda: newer)
    lease = dict(second.annotated(lease))

    assert (second.found("chat"), second.found("code")) == (newer, STATE)


def test_it_never_outgrows_what_an_object_may_be_annotated_with() -> None:
    handover = Handover(dict)
    for number in range(2000):
        handover.leave(f"d{number}", lambda number=number: replace(STATE, at=float(number)))
    left = handover.annotated({"state.planner/gone": "x" * 1000})

    assert 190_000 < sum(map(len, left.values())) <= 200_000
    assert Handover(lambda: left).found("d0") == replace(STATE, at=0.0)


@pytest.mark.parametrize(
    "text",
    ["", "?", "bm90IHppcHBlZA==", "eJwDAAAAAAE="],
    ids=["empty", "no base64", "other", "nil"],
)
def test_what_cannot_be_read_is_not_gone_on_from(text: str) -> None:
    assert Handover(lambda: {"state.planner/chat": text}).found("chat") is None
