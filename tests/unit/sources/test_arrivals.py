"""Bins of several frontends: added by their numbers, each one told exactly once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.sources.arrivals import ArrivalsReader, Reply, reply

EPOCH = 1_700_000_000.0


def replied(counts, *, end, bin_seconds=0.25):
    """Bins of prompts of 10 tokens that were over at *end* seconds after these tests' epoch."""
    return Reply(
        bin_seconds=bin_seconds,
        end=EPOCH + end,
        counts=counts,
        isl=[10 * count for count in counts],
        isl_squared=[100 * count for count in counts],
    )


def looked_once(*, end, frontends=1):
    reader = ArrivalsReader()
    assert reader.since_last([replied([9, 9], end=end)] * frontends) is None
    return reader


def test_since_the_last_look():
    reader = looked_once(end=1.0)
    arrivals = reader.since_last([replied([1, 2], end=1.5)])
    assert (arrivals.bin_seconds, arrivals.counts) == (0.25, (1, 2))
    assert (arrivals.isl, arrivals.isl_squared) == ((10, 20), (100, 200))
    assert reader.url("http://f:1/") == f"http://f:1/arrivals?since={EPOCH + 1.5}"


def test_one_model_is_asked_for_by_its_name():
    url = ArrivalsReader(model="meta/a&b").url("http://f:1")
    assert url == "http://f:1/arrivals?model=meta%2Fa%26b"


LOOKS = [
    pytest.param([[1, 2], [10, 20]], [1.5, 1.5], (11, 22), id="same bins"),
    pytest.param([[1, 2], [10, 20, 30]], [1.5, 1.75], (11, 22), id="one answered later"),
    pytest.param([[1, 2], [5, 10, 20]], [1.5, 1.5], (11, 22), id="one tells more than asked for"),
    pytest.param([[2], [10, 20]], [1.5, 1.5], (22,), id="one remembers less"),
    pytest.param([[], []], [1.0, 1.0], (), id="no bin is over"),
    pytest.param([[1, 2], []], [1.5, 1.0], (), id="none is over for both"),
    pytest.param([[], []], [0.5, 0.5], (), id="the clocks were set back"),
    pytest.param([[1], [1]], [0.5, 1.5], (), id="one clock was set back"),
]


@pytest.mark.parametrize(("counts", "ends", "expected"), LOOKS)
def test_frontends_add_up_bin_by_bin(counts, ends, expected):
    reader = looked_once(end=1.0, frontends=2)
    pairs = zip(counts, ends, strict=True)
    arrivals = reader.since_last([replied(list(c), end=end) for c, end in pairs])
    assert arrivals.counts == expected


def test_what_was_not_over_for_all_comes_with_the_next_look():
    reader = looked_once(end=1.0, frontends=2)
    reader.since_last([replied([1], end=1.25), replied([10, 20], end=1.5)])
    arrivals = reader.since_last([replied([2], end=1.5), replied([20], end=1.5)])
    assert arrivals.counts == (22,)


UNKNOWN = [
    pytest.param([None, replied([1], end=1.25)], id="one does not answer"),
    pytest.param([], id="no frontend"),
    pytest.param([replied([1], end=1.25), replied([1], end=1.5, bin_seconds=0.5)], id="other bins"),
    pytest.param([replied([1], end=1.25), replied([1], end=9.0)], id="clocks far apart"),
]


@pytest.mark.parametrize("replies", UNKNOWN)
def test_unknown_once_and_the_next_look_covers_the_gap(replies):
    reader = looked_once(end=1.0)
    assert reader.since_last(replies) is None
    assert reader.since_last([replied([1, 2, 3], end=1.75)]).counts == (1, 2, 3)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(-8, 8)), min_size=2, max_size=12))
def test_every_bin_is_told_once_however_the_looks_fall(looks):
    """Of two frontends, read one after the other, bin n counts n and 1000 n."""
    reader, now, begins, told, stops = ArrivalsReader(), 1000, None, [], (0, 0)
    for passed, apart in looks:
        now += passed
        late = (max(0, apart), max(0, -apart))
        stops = tuple(max(stop, now - by) for stop, by in zip(stops, late, strict=True))
        arrivals = reader.since_last(
            [
                replied([factor * n for n in range(stop - 480, stop)], end=stop / 4)
                for factor, stop in zip((1, 1000), stops, strict=True)
            ]
        )
        begins = min(stops) if begins is None else begins
        told += arrivals.counts if arrivals else ()
    assert told == [1001 * (begins + n) for n in range(len(told))]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"bin_seconds": 0.25, "end": 1, "counts": [1], "isl": [1, 2], "isl_squared": [1]}',
        '{"bin_seconds": 0.25, "end": 1, "counts": [-1], "isl": [1], "isl_squared": [1]}',
        '{"bin_seconds": 0, "end": 1, "counts": [], "isl": [], "isl_squared": []}',
        '{"bin_seconds": 0.25, "end": 1e300, "counts": [], "isl": [], "isl_squared": []}',
    ],
)
def test_what_is_no_reply(text):
    assert reply(text) is None
