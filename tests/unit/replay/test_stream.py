"""Streamed answers, cut into pieces at any byte."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.replay.stream import BadStream, answer


def event(**fields):
    return f"data: {json.dumps(fields)}\n\n".encode()


def token(text="a", finish=None):
    return event(choices=[{"index": 0, "text": text, "finish_reason": finish}], usage=None)


USAGE = event(choices=[], usage={"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16})
CLOSING = token(text="", finish="length")
DONE = b"data: [DONE]\n\n"


def test_first_and_last_token_and_the_servers_count():
    pieces = [
        (1.0, token()),
        (2.0, token("data: \n\n")),
        (3.0, token(finish="length") + USAGE + DONE),
    ]
    found = answer(pieces)
    assert (found.first, found.last, found.tokens, found.mean_itl) == (1.0, 3.0, 9, 0.25)


def test_what_follows_the_last_token_does_not_move_it():
    found = answer([(1.0, token()), (2.0, token()), (5.0, CLOSING), (6.0, USAGE), (7.0, DONE)])
    assert (found.first, found.last) == (1.0, 2.0)


def test_without_usage_events_with_a_token_are_counted():
    found = answer([(1.0, token() + token("") + CLOSING + DONE)])
    assert found.tokens == 2


def test_one_token_has_no_itl():
    assert answer([(1.0, token() + DONE)]).mean_itl is None


@given(st.lists(st.integers(0, 400), max_size=12))
def test_the_cuts_between_pieces_do_not_matter(cuts):
    parts = [token(), token("é"), CLOSING, USAGE, DONE]
    body = b"".join(parts)
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    pieces = [(float(i), body[a:b]) for i, (a, b) in enumerate(pairwise(edges))]
    found = answer(pieces)
    # Everything up to the byte before the blank line makes an event whole.
    first_end = len(parts[0]) - 3
    last_end = len(parts[0]) + len(parts[1]) - 3
    assert found.tokens == 9
    assert edges[int(found.first)] <= first_end < edges[int(found.first) + 1]
    assert edges[int(found.last)] <= last_end < edges[int(found.last) + 1]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        pytest.param(b"", "the stream broke off", id="nothing"),
        pytest.param(token(), "the stream broke off", id="no end"),
        pytest.param(DONE, "the stream ended without a token", id="no token"),
        pytest.param(CLOSING + DONE, "the stream ended without a token", id="only a reason"),
        pytest.param(
            token() + event(error={"message": "worker is gone", "code": 502}),
            "worker is gone",
            id="error in the stream",
        ),
        pytest.param(event(error="plain") + DONE, "plain", id="error as text"),
        pytest.param(b"data: {broken\n\ndata: [1]\n\n", "the stream broke off", id="not JSON"),
    ],
)
def test_an_incomplete_answer_says_why(body, why):
    with pytest.raises(BadStream, match=why):
        answer([(1.0, body)])
