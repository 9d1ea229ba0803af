"""The examples in the docstrings of the library give what they say."""

import doctest

import pytest

import planner

EXPLAINED = ("load_profile", "recommend", "simulate")


@pytest.mark.parametrize("name", EXPLAINED)
def test_the_example_gives_what_it_says(name):
    finder = doctest.DocTestFinder(recurse=False)
    (example,) = finder.find(getattr(planner, name), name, globs={})
    assert example.examples
    told: list[str] = []
    runner = doctest.DocTestRunner()
    assert runner.run(example, out=told.append).failed == 0, "".join(told)


@pytest.mark.parametrize("name", EXPLAINED)
def test_what_can_go_wrong_and_in_which_units_is_told(name):
    text = getattr(planner, name).__doc__
    assert "Error" in text
    assert "second" in text
    assert "tokens" in text
