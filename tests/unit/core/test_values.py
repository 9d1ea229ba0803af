"""Values made at every decision: equal by content, slotted, named arguments only."""

from dataclasses import fields, replace

import pytest

from planner.core.value import value


@value
class Pair:
    """Two numbers."""

    left: int
    right: int = 2


def test_values_with_equal_content_are_the_same_key():
    assert {Pair(left=1): "here"}[Pair(left=1, right=2)] == "here"


def test_a_changed_value_is_another_one():
    before = Pair(left=1)
    assert replace(before, left=3) == Pair(left=3)
    assert before == Pair(left=1)


def test_they_are_dataclasses_without_room_for_more():
    assert [field.name for field in fields(Pair)] == ["left", "right"]
    with pytest.raises(AttributeError):
        Pair(left=1).middle = 0


def test_arguments_are_named():
    with pytest.raises(TypeError):
        Pair(1, 2)
