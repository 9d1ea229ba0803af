"""The lock that makes one planner the only one that acts on a fleet."""

import os

import pytest

from planner.cli.control.fleet import acting_planner, sole_planner
from planner.errors import ConfigError


def test_a_second_planner_is_refused_while_the_first_one_acts(tmp_path):
    with sole_planner(tmp_path):
        assert acting_planner(tmp_path) == os.getpid()
        with pytest.raises(ConfigError, match="another planner acts"), sole_planner(tmp_path):
            pass
    assert acting_planner(tmp_path) is None
    with sole_planner(tmp_path):
        pass


def test_an_error_of_the_planner_itself_is_not_taken_for_a_second_one(tmp_path):
    with pytest.raises(BlockingIOError), sole_planner(tmp_path):
        raise BlockingIOError
