"""The least count that will do is found from any guess, and cheaply near it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.core.search import first_that


@given(st.integers(1, 1000), st.integers(-5, 2000), st.integers(1, 50))
def test_it_is_found_from_any_guess(answer, guess, least):
    found = first_that(lambda count: count >= answer, guess=guess, most=1000, least=least)
    assert found == max(answer, least)


def test_when_none_will_do_it_is_the_most():
    assert first_that(lambda _: False, guess=3, most=64) == 64


@pytest.mark.parametrize(
    ("answer", "most_questions"),
    [pytest.param(20, 2, id="as guessed"), pytest.param(21, 2, id="one more"),
     pytest.param(19, 4, id="one fewer"), pytest.param(90, 14, id="far away")],
)  # fmt: skip
def test_a_count_near_the_guess_costs_few_questions(answer, most_questions):
    asked = []

    def holds(count):
        asked.append(count)
        return count >= answer

    assert first_that(holds, guess=20, most=1024) == answer
    assert len(asked) <= most_questions
