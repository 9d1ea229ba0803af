"""Results as tables and as JSON."""

import json
from dataclasses import dataclass
from enum import StrEnum

import pytest

from planner.api.document import plain
from planner.cli.output import print_json, print_table


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Point:
    at: float
    colours: dict[Colour, float]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Point(1.5, {Colour.RED: float("nan")}), {"at": 1.5, "colours": {"red": None}}),
        ((1, Colour.RED, None), [1, "red", None]),
        (float("inf"), None),
        (True, True),
    ],
    ids=["dataclass", "tuple", "infinite", "bool"],
)
def test_json_gets_plain_values(value: object, expected: object) -> None:
    assert plain(value) == expected


def test_json_carries_its_schema_version(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": 1})

    assert json.loads(capsys.readouterr().out) == {"schema_version": "1", "a": 1}


def test_a_table_lines_numbers_up_and_fits(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["role", "ready"], [["[decode]", 12], ["prefill", None]], title="Replicas")

    lines = capsys.readouterr().out.splitlines()
    assert [line.rstrip() for line in lines] == [
        "Replicas",
        "role      ready",
        "[decode]     12",
        "prefill       -",
    ]
