"""Engines that serve together get GPUs of their own."""

import pytest

from planner.cli.profiling.deployment import devices
from planner.core.profile import Parallelism

CASES = [
    pytest.param(("0", "1", "2", "3"), Parallelism(tp=2), [{"0", "1"}, {"2", "3"}], id="two each"),
    pytest.param(("4", "7"), Parallelism(), [{"4"}, {"7"}], id="by their names"),
    pytest.param((), Parallelism(tp=2), [set(), set()], id="none to give"),
]


@pytest.mark.parametrize(("gpus", "parallelism", "expected"), CASES)
def test_no_gpu_is_given_twice(gpus, parallelism, expected):
    given = [devices(gpus, parallelism, index) for index in range(2)]
    names = [set(filter(None, one.get("CUDA_VISIBLE_DEVICES", "").split(","))) for one in given]
    assert names == expected
