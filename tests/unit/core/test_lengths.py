"""The mean output length, estimated while the longest outputs have not finished yet."""

import pytest

from planner.core.observation import Traffic
from planner.core.traffic import Flows

ITL = 0.02


def flows(*, finished: int, osl: float, running: int | None, intervals: int = 10) -> Flows:
    """Return what is known after intervals of 5 s that are all alike."""
    traffic = Traffic(
        seconds=5.0,
        arrived=50,
        isl_sum=50_000.0,
        isl_squared_sum=5e7,
        finished=finished,
        osl_sum=finished * osl,
        context_osl_sum=finished * osl * 1100.0,
        itl_sum=finished * ITL,
        itl_count=finished,
    )
    known = Flows()
    for _ in range(intervals):
        known = known.seen(traffic, running=running, smoothing_seconds=30.0)
    return known


CASES = [
    # 10 a second, 200 tokens at 20 ms each: 40 are running, and all tokens are of finished ones.
    pytest.param(50, 200.0, 40, 200.0, id="steady load agrees with the finished"),
    # 4 a second finish with 100 tokens while 40 run: 2000 tokens a second, 500 for each finished,
    # of which 2.5 times the finished ones' length is believed.
    pytest.param(20, 100.0, 40, 250.0, id="growing load: short ones finish first"),
    pytest.param(20, 100.0, 10, 125.0, id="a little growth"),
    pytest.param(50, 200.0, 20, 200.0, id="shrinking load: never below the finished"),
    pytest.param(50, 200.0, None, 200.0, id="unknown running"),
]


@pytest.mark.parametrize(("finished", "osl", "running", "expected"), CASES)
def test_mean_output_counts_what_is_still_running(
    finished: int, osl: float, running: int | None, expected: float
) -> None:
    workload = flows(finished=finished, osl=osl, running=running).workload(10.0)
    assert workload is not None
    assert workload.osl == pytest.approx(expected)
    assert workload.decode_token_contexts == pytest.approx(expected * 1100.0)
