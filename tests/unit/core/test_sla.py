"""The SLA as operators write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.core.sla import Sla
from planner.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "sla"),
    [
        pytest.param(
            "ttft=200ms,itl=20ms,attainment=99.5%",
            Sla(ttft_seconds=0.2, itl_seconds=0.02, attainment=0.995),
            id="all three",
        ),
        pytest.param("itl=20ms", Sla(itl_seconds=0.02, attainment=0.99), id="99 % if left out"),
        pytest.param(" TTFT = 1.5s , ", Sla(ttft_seconds=1.5), id="spaces, capitals, a comma"),
    ],
)
def test_it_is_read(text, sla):
    assert Sla.parse(text) == sla


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        pytest.param(
            "ttft=200",
            "--sla ttft=200: a duration needs a unit (ms or s)",
            "planner run --sla ttft=200ms",
            id="no unit",
        ),
        pytest.param(
            "tpot=20ms",
            "--sla tpot=20ms: unknown metric 'tpot' (known: ttft, itl, attainment)",
            "did you mean itl?",
            id="another word for itl",
        ),
        pytest.param(
            "ttf=20ms",
            "--sla ttf=20ms: unknown metric 'ttf' (known: ttft, itl, attainment)",
            "did you mean ttft?",
            id="a slip",
        ),
        pytest.param(
            "colour=red",
            "--sla colour=red: unknown metric 'colour' (known: ttft, itl, attainment)",
            "planner run --sla ttft=200ms,itl=20ms",
            id="nothing like it",
        ),
        pytest.param(
            "ttft.p95=200ms",
            "--sla ttft.p95=200ms: percentiles are written as the share of requests that must "
            "comply",
            "planner run --sla ttft=200ms,attainment=95%",
            id="a percentile",
        ),
        pytest.param(
            "ttft=1s,ttft=2s", "--sla ttft=2s: given twice", "name each target once", id="twice"
        ),
        pytest.param(
            "itl", "--sla itl: itl needs a value", "planner run --sla itl=20ms", id="no value"
        ),
        pytest.param(
            "attainment=99",
            "--sla attainment=99: a share above 1 needs a percent sign",
            "planner run --sla attainment=99%",
            id="no percent sign",
        ),
        pytest.param(
            "ttft=1s,attainment=100%",
            "attainment=100%: must be between 50% and 99.99%",
            "--sla attainment=99%",
            id="perfection",
        ),
        pytest.param(
            "ttft=0ms",
            "ttft=0s: must be above 0 and at most 1h",
            "--sla ttft=200ms",
            id="no time at all",
        ),
        pytest.param(
            "itl=2h",
            "itl=2h: must be above 0 and at most 1h",
            "--sla itl=200ms",
            id="too long to be a target",
        ),
        pytest.param(
            "attainment=99%",
            "an SLA needs a ttft or an itl target",
            "--sla ttft=200ms",
            id="no target",
        ),
        pytest.param(
            "", "an SLA needs a ttft or an itl target", "--sla ttft=200ms", id="nothing at all"
        ),
    ],
)
def test_errors_say_what_is_wrong_and_what_would_do(text, message, hint):
    with pytest.raises(ConfigError) as caught:
        Sla.parse(text)
    assert str(caught.value) == message
    assert caught.value.hint == hint


def test_an_error_is_told_by_the_place_that_it_came_from():
    with pytest.raises(ConfigError, match=r"^planner\.toml: sla ttft=5: a duration"):
        Sla.parse("ttft=5", what="planner.toml: sla")


milliseconds = st.none() | st.integers(1, 60_000)


@given(milliseconds, st.integers(1, 60_000), st.integers(500, 999))
def test_what_is_written_is_read_back(ttft, itl, permille):
    sla = Sla(
        ttft_seconds=None if ttft is None else ttft / 1e3,
        itl_seconds=itl / 1e3,
        attainment=permille / 1e3,
    )
    again = Sla.parse(str(sla))
    assert (again.ttft_seconds is None) == (ttft is None)
    assert (again.ttft_seconds or 0.0) == pytest.approx(sla.ttft_seconds or 0.0)
    assert again.itl_seconds == pytest.approx(sla.itl_seconds)
    assert again.attainment == pytest.approx(sla.attainment)
