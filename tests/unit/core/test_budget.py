"""The GPU budget is shared in proportion and holds at every instant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.core.budget import fitted, started
from planner.core.observation import Replicas
from planner.core.role import Role

P, D = Role.PREFILL, Role.DECODE
ONE_EACH = {P: 1, D: 1}


@pytest.mark.parametrize(
    ("wanted", "widths", "budget", "counts"),
    [
        pytest.param({P: 2, D: 3}, ONE_EACH, 8, {P: 2, D: 3}, id="all fits"),
        pytest.param({P: 6, D: 6}, ONE_EACH, 8, {P: 4, D: 4}, id="equal wants, equal shares"),
        pytest.param({P: 9, D: 3}, ONE_EACH, 8, {P: 6, D: 2}, id="in proportion"),
        pytest.param({P: 2, D: 40}, ONE_EACH, 8, {P: 1, D: 7}, id="floors are kept"),
        pytest.param({P: 4, D: 4}, {P: 2, D: 4}, 12, {P: 2, D: 2}, id="wide replicas"),
        pytest.param({P: 1, D: 2}, {P: 1, D: 4}, 8, {P: 1, D: 1}, id="what does not fit is left"),
    ],
)
def test_the_budget_is_shared(wanted, widths, budget, counts):
    fit = fitted(wanted, floors=ONE_EACH, gpus_per_replica=widths, max_gpus=budget)
    assert fit == counts


@pytest.mark.parametrize(
    ("desired", "fleet", "counts"),
    [
        pytest.param(
            {P: 1, D: 3},
            {P: Replicas(ready=2), D: Replicas(ready=2)},
            {P: 1, D: 2},
            id="the one that shrinks goes first",
        ),
        pytest.param(
            {P: 1, D: 3},
            {P: Replicas(ready=1, draining=1), D: Replicas(ready=2)},
            {P: 1, D: 2},
            id="while it drains its GPU is taken",
        ),
        pytest.param(
            {P: 1, D: 3},
            {P: Replicas(ready=1), D: Replicas(ready=2)},
            {P: 1, D: 3},
            id="then the other grows",
        ),
        pytest.param(
            {P: 3, D: 3},
            {P: Replicas(ready=3, starting=1), D: Replicas(ready=2)},
            {P: 3, D: 2},
            id="over the budget by someone else's hand",
        ),
    ],
)
def test_a_replica_starts_only_on_gpus_that_are_free(desired, fleet, counts):
    assert started(desired, fleet, gpus_per_replica=ONE_EACH, max_gpus=4) == counts


counts = st.fixed_dictionaries({P: st.integers(0, 50), D: st.integers(0, 50)})
widths = st.fixed_dictionaries({P: st.integers(1, 8), D: st.integers(1, 8)})


def gpus(replicas, width):
    return sum(replicas[role] * width[role] for role in replicas)


@given(counts, counts, widths, st.integers(0, 200))
def test_it_fits_keeps_floors_and_adds_nothing(wanted, floors, width, budget):
    kept = {role: min(floors[role], wanted[role]) for role in wanted}
    if gpus(kept, width) > budget:
        return
    fit = fitted(wanted, floors=floors, gpus_per_replica=width, max_gpus=budget)
    assert gpus(fit, width) <= budget
    for role in wanted:
        assert kept[role] <= fit[role] <= wanted[role]
    assert fitted(fit, floors=floors, gpus_per_replica=width, max_gpus=budget) == fit


replicas = st.builds(
    Replicas, ready=st.integers(0, 20), starting=st.integers(0, 5), draining=st.integers(0, 5)
)


@given(counts, st.fixed_dictionaries({P: replicas, D: replicas}), widths, st.integers(0, 200))
def test_no_instant_of_a_change_passes_the_budget_unless_it_was_passed_before(
    desired, fleet, width, budget
):
    now = started(desired, fleet, gpus_per_replica=width, max_gpus=budget)
    before = gpus({role: fleet[role].provisioned for role in fleet}, width)
    growth = {role: max(0, now[role] - fleet[role].current) for role in now}
    assert before + gpus(growth, width) <= max(budget, before)
    assert all(now[role] <= max(desired[role], fleet[role].current) for role in now)
