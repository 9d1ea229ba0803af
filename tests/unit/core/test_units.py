"""Durations, rates and shares as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.core.units import (
    format_duration,
    format_rate,
    format_share,
    parse_duration,
    parse_rate,
    parse_share,
)
from planner.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("200ms", 0.2, id="milliseconds"),
        pytest.param("1.5s", 1.5, id="a fraction"),
        pytest.param("5m", 300.0, id="minutes"),
        pytest.param("2min", 120.0, id="minutes, long form"),
        pytest.param("3m40s", 220.0, id="two units"),
        pytest.param("1h 30m", 5400.0, id="with a space"),
        pytest.param(" 20 MS ", 0.02, id="spaces and capitals"),
        pytest.param("500us", 0.0005, id="microseconds"),
    ],
)
def test_durations_become_seconds(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("parse", "text", "message", "hint"),
    [
        pytest.param(
            parse_duration,
            "200",
            "--x: a duration needs a unit (ms or s)",
            "write 200s",
            id="duration without a unit",
        ),
        pytest.param(
            parse_duration,
            "5 parsec",
            "--x: unknown unit 'parsec' (known: us, ms, s, m, min, h, d)",
            "write 5s",
            id="duration in parsecs",
        ),
        pytest.param(
            parse_duration, "", "--x: '' is not a duration", "write 30s", id="no duration"
        ),
        pytest.param(
            parse_duration, "-5ms", "--x: '-5ms' is not a duration", "write 30s", id="negative"
        ),
        pytest.param(
            parse_rate, "20", "--x: a rate needs a unit (/s, /min or /h)", "write 20/s", id="rate"
        ),
        pytest.param(
            parse_rate,
            "20/y",
            "--x: unknown unit '/y' (known: /s, /min, /h)",
            "write 20/s",
            id="rate a year",
        ),
        pytest.param(
            parse_rate, "fast/s", "--x: 'fast' is not a number", "write 20/s", id="rate in words"
        ),
        pytest.param(
            parse_rate, "nan/s", "--x: nan is not a number of 0 or more", "write 20/s", id="nan"
        ),
        pytest.param(
            parse_share,
            "99",
            "--x: a share above 1 needs a percent sign",
            "write 99%",
            id="share without a percent sign",
        ),
        pytest.param(parse_share, "101%", "--x: 101% is above 100%", "write 99%", id="over 100%"),
        pytest.param(
            parse_share, "most", "--x: 'most' is not a number", "write 99%", id="share in words"
        ),
    ],
)
def test_errors_name_the_value_and_one_that_would_do(parse, text, message, hint):
    with pytest.raises(ConfigError) as caught:
        parse(text, what="--x")
    assert str(caught.value) == message
    assert caught.value.hint == hint


def test_rates_and_shares_are_read():
    assert parse_rate("20/s") == 20
    assert parse_rate("1200/min") == pytest.approx(20)
    assert parse_share("99%") == pytest.approx(0.99)
    assert parse_share("0.95") == 0.95


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0s"),
        (0.02, "20ms"),
        (0.0123, "12.3ms"),
        (1.5, "1.5s"),
        (59.99, "1m"),
        (65.0, "1m5s"),
        (220.0, "3m40s"),
        (7200.0, "2h"),
        (-2.0, "-2s"),
    ],
)
def test_durations_are_written_as_people_do(seconds, text):
    assert format_duration(seconds) == text


def test_rates_and_shares_are_written():
    assert format_rate(41.23) == "41.2/s"
    assert format_share(0.99) == "99%"
    assert format_share(0.9714) == "97.14%"


@given(st.floats(1e-4, 1e6))
def test_a_written_duration_reads_as_nearly_the_same(seconds):
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, rel=0.01)
