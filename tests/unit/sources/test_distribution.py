"""What can be told of amounts by the buckets that they fell into."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.sources.distribution import Distribution, added, scaled

EDGES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)


def counted(amounts, edges=EDGES):
    below = tuple((float(edge), float(sum(a <= edge for a in amounts))) for edge in edges)
    all_of_them = (float("inf"), float(len(amounts)))
    return Distribution(
        total=float(sum(amounts)), count=float(len(amounts)), below=(*below, all_of_them)
    )


def test_the_share_is_known_at_an_edge_alone():
    some = counted([3, 30, 30, 300])
    assert some.share_up_to(50) == 0.75
    assert some.share_up_to(49) is None
    assert counted([]).share_up_to(50) is None
    assert Distribution(total=5.0, count=1.0).share_up_to(50) is None


def test_without_buckets_all_amounts_are_taken_as_equal():
    assert Distribution(total=600.0, count=3.0).square_sum == 3 * 200**2
    assert Distribution(total=0.0, count=0.0).square_sum == 0.0
    assert Distribution(total=0.0, count=0.0).mean is None


@pytest.mark.parametrize(
    "amounts",
    [
        pytest.param([300] * 40, id="all in one bucket"),
        pytest.param([20, 60, 150, 400, 900, 1800] * 10, id="many buckets"),
        pytest.param([100] * 90 + [9000] * 10, id="a few above the last edge"),
        pytest.param([4000, 6000], id="all above the last edge"),
    ],
)
def test_squares_are_near(amounts):
    assert counted(amounts).square_sum == pytest.approx(sum(a * a for a in amounts), rel=0.15)


@given(st.lists(st.integers(1, 50_000), min_size=1, max_size=60))
def test_squares_are_at_least_those_of_equal_amounts(amounts):
    some = counted(amounts)
    assert some.square_sum >= some.total**2 / some.count * (1 - 1e-9)


@given(st.lists(st.integers(1, 5000)), st.lists(st.integers(1, 5000)))
def test_adding_is_counting_together(first, second):
    assert added([counted(first), counted(second)]) == counted(first + second)


def test_edges_that_one_of_them_lacks_are_left_out():
    both = added([counted([3], edges=(2, 5)), counted([3], edges=(5, 9))])
    assert [edge for edge, _ in both.below] == [5.0, float("inf")]
    assert added([]) == Distribution(total=0.0, count=0.0)


def test_scaling_keeps_mean_and_shares():
    some = counted([3, 30, 30, 300])
    assert scaled(some, 2.5).mean == some.mean
    assert scaled(some, 2.5).share_up_to(50) == some.share_up_to(50)
