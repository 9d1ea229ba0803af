"""Stop strings end the text at the same place however the text was cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.frontend.detokenizer import ByteLevelDetokenizer, Vocabulary
from runtime.frontend.stops import StopMatcher
from runtime.frontend.text import TextStream

LETTERS = st.text("abc", max_size=30)
STOPS = st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=4)


def visible(text, stops):
    """The definition: cut before the stop string that is complete first."""
    for end in range(1, len(text) + 1):
        found = [stop for stop in stops if text[:end].endswith(stop)]
        if found:
            return text[: end - max(map(len, found))]
    return text


@given(text=LETTERS, stops=STOPS, cuts=st.lists(st.integers(0, 30)))
def test_any_cut_shows_what_the_definition_says(text, stops, cuts):
    matcher, shown = StopMatcher(stops), ""
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    for start, end in zip(edges, edges[1:]):  # noqa: B905, RUF007
        shown += matcher.push(text[start:end])
        assert visible(text, stops).startswith(shown)
    shown += matcher.flush()
    assert shown == visible(text, stops)
    assert matcher.is_stopped == any(stop in text for stop in stops)


CASES = [
    pytest.param(["STOP"], ["some S", "TO", "P more"], ["some ", "", ""], id="across pieces"),
    pytest.param(["STOP"], ["a STOne"], ["a STOne"], id="no stop after all"),
    pytest.param(["STOP"], ["a ST", "x"], ["a ", "STx"], id="held text is released"),
    pytest.param(["aab"], ["aa", "ab"], ["", "a"], id="the longest beginning is held"),
    pytest.param(["b", "abc"], ["abc"], ["a"], id="complete first wins"),
    pytest.param(["bc", "abc"], ["abc"], [""], id="longest of those complete together"),
]


@pytest.mark.parametrize(("stops", "pieces", "shown"), CASES)
def test_shows(stops, pieces, shown):
    matcher = StopMatcher(stops)
    assert [matcher.push(piece) for piece in pieces] == shown


def text_stream(byte_level, **options):
    return TextStream(ByteLevelDetokenizer(Vocabulary(byte_level)), **options)


def test_tokens_after_the_stop_string_are_not_used(byte_level):
    token_ids = [byte_level.token_to_id(letter) for letter in "abcdef"]
    stream = text_stream(byte_level, stops=["cd"])
    assert stream.push(token_ids) == ("ab", 4)
    assert stream.is_stopped


def test_the_first_min_tokens_hold_no_stop_string(byte_level):
    token_ids = [byte_level.token_to_id(letter) for letter in "ababab"]
    stream = text_stream(byte_level, stops=["b"], min_tokens=3)
    assert stream.push(token_ids) == ("aba", 4)


def test_the_end_releases_what_was_held_and_half_characters(byte_level):
    stream = text_stream(byte_level, stops=["abc"])
    token_ids = [byte_level.token_to_id(letter) for letter in "abð"]
    assert stream.push(token_ids) == ("", 3)
    assert stream.flush() == "ab\ufffd"
