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


INF = float("inf")


@pytest.mark.parametrize(
    ("below", "quantiles"),
    [
        pytest.param(((0.1, 50), (0.2, 90), (0.4, 100), (INF, 100)), (0.1, 0.3, 0.38), id="many"),
        pytest.param(((0.1, 100), (INF, 100)), (0.05, 0.095, 0.099), id="from zero on"),
        pytest.param(((0.1, 0), (0.3, 4), (0.5, 4), (INF, 4)), (0.2, 0.29, 0.298), id="one bucket"),
        pytest.param(((0.1, 96), (INF, 100)), (0.052083, 0.098958, 0.1), id="above the last edge"),
        pytest.param(((0.1, 0), (0.2, 0), (INF, 7)), (0.2, 0.2, 0.2), id="all above it"),
        pytest.param(((0.0, 60), (1.0, 100), (INF, 100)), (0.0, 0.875, 0.975), id="many zeros"),
    ],
)
def test_quantiles_are_spread_evenly_within_a_bucket(below, quantiles):
    told = Distribution(total=1.0, count=float(below[-1][1]), below=below).quantiles
    assert (told.p50, told.p95, told.p99) == pytest.approx(quantiles, rel=1e-4)


@pytest.mark.parametrize(
    "below",
    [
        pytest.param((), id="no buckets"),
        pytest.param(((INF, 3),), id="no edge"),
        pytest.param(((0.1, 3), (0.2, 3)), id="not all of them"),
        pytest.param(((0.1, 0), (INF, 0)), id="nothing counted"),
    ],
)
def test_no_quantiles_of_what_is_not_told(below):
    assert Distribution(total=1.0, count=3.0, below=below).quantiles is None


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=60))
def test_quantiles_are_in_the_bucket_that_they_fall_into(amounts):
    told = counted(amounts).quantiles
    ordered = sorted(amounts)
    for share, value in ((0.5, told.p50), (0.95, told.p95), (0.99, told.p99)):
        amount = ordered[max(0, -(-round(share * 100) * len(amounts) // 100) - 1)]
        upper = next(edge for edge in EDGES if edge >= amount)
        lower = max((edge for edge in EDGES if edge < amount), default=0)
        assert lower <= value <= upper
