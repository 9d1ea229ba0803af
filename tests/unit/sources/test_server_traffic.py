"""What servers count one by one becomes the traffic of a deployment."""

import pytest

from planner.core.role import Role
from planner.core.sla import Sla
from planner.sources.distribution import Distribution, scaled
from planner.sources.exposition import Page
from planner.sources.growth import Growth
from planner.sources.readings import Counted
from planner.sources.server_arrivals import Admissions
from planner.sources.server_traffic import Interval, ServedTraffic, latencies, share_within

NOTHING = Page(samples={}, declared=frozenset())
AGAIN = Growth(seconds=5.0, page=NOTHING)
RESTARTED = Growth(seconds=5.0, page=NOTHING, restarted=True)


def amounts(count, mean, *below):
    return Distribution(total=float(count * mean), count=float(count), below=below)


def interval(role=Role.AGGREGATED, *, seconds=5.0, arrived=10.0, requests=10, per_request=True,
             isl=1000, osl=100, **figures):  # fmt: skip
    told = {
        "entered": requests, "finished": float(requests), "failed": 0.0,
        "prompts": amounts(requests, isl), "outputs": amounts(requests, osl),
        "ttft": amounts(requests, 0.2), "itl": amounts(requests, 0.01),
        "preemptions": 0.0, "cached_tokens": 0.0,
    }  # fmt: skip
    return Interval(
        role=role, seconds=seconds, arrived=arrived, counted=Counted(**told | figures),
        itl_is_per_request=per_request,
    )  # fmt: skip


def test_servers_add_up():
    traffic = ServedTraffic(None).traffic([interval(), interval(arrived=20.0, isl=4000)])
    assert (traffic.seconds, traffic.arrived, traffic.finished) == (5, 30, 20)
    assert traffic.isl_sum == 30 * 2500
    assert traffic.isl_squared_sum == 30 * 2500**2  # nothing tells how prompts differ
    assert traffic.osl_sum == 2000
    assert (traffic.ttft_sum, traffic.ttft_count) == (pytest.approx(4), 20)
    assert (traffic.itl_sum, traffic.itl_count) == (pytest.approx(0.2), 20)
    assert traffic.context_osl_sum == 0
    assert traffic.arrivals is None


def test_a_longer_window_is_a_rate_too():
    traffic = ServedTraffic(None).traffic([interval(), interval(seconds=10.0, arrived=20.0)])
    assert (traffic.seconds, traffic.arrived, traffic.finished) == (10, 40, 30)


def test_who_does_not_end_still_arrives_with_the_length_of_the_last_ones():
    served = ServedTraffic(None)
    served.recall([amounts(500, 800)])
    quiet = {"prompts": amounts(0, 0), "outputs": amounts(0, 0), "finished": 0.0}
    traffic = served.traffic([interval(**quiet)])
    assert (traffic.arrived, traffic.isl_sum, traffic.finished, traffic.osl_sum) == (10, 8000, 0, 0)
    served.traffic([interval(isl=300)])
    assert served.traffic([interval(**quiet)]).isl_sum == 3000
    served.recall([amounts(500, 800)])
    assert served.traffic([interval(**quiet)]).isl_sum == 3000


@pytest.mark.parametrize(
    "figures",
    [
        pytest.param({"arrived": None}, id="arrivals"),
        pytest.param({"finished": None}, id="answers"),
        pytest.param({"outputs": None}, id="lengths of answers"),
        pytest.param({"outputs": amounts(0, 0)}, id="lengths of these answers"),
        pytest.param({"prompts": None}, id="lengths of prompts"),
    ],
)
def test_what_nobody_tells_makes_the_traffic_unknown(figures):
    assert ServedTraffic(None).traffic([interval(**figures)]) is None
    assert ServedTraffic(None).traffic([]) is None


def test_no_latency_told_is_no_latency_measured():
    untold = {"ttft": None, "itl": None, "failed": None}
    traffic = ServedTraffic(None).traffic([interval(**untold)])
    assert (traffic.ttft_count, traffic.itl_count, traffic.failed) == (0, 0, 0)
    assert ServedTraffic(None).traffic([interval(**untold), interval()]).ttft_count == 10


def test_disaggregated_requests_arrive_at_prefill_and_end_at_decode():
    prefill = interval(Role.PREFILL, arrived=12.0, isl=3000, osl=1, ttft=amounts(12, 0.3))
    decode = interval(
        Role.DECODE, arrived=9.0, requests=8, isl=3000, osl=250,
        ttft=amounts(8, 0.05), itl=amounts(8, 0.02),
    )  # fmt: skip
    traffic = ServedTraffic(None).traffic([prefill, decode])
    assert (traffic.arrived, traffic.isl_sum) == (12, 36_000)
    assert (traffic.finished, traffic.osl_sum) == (8, 2000)
    assert traffic.ttft_sum / traffic.ttft_count == pytest.approx(0.35)
    assert traffic.itl_sum / traffic.itl_count == pytest.approx(0.02)


def test_only_one_half_that_is_listed_speaks_for_both():
    traffic = ServedTraffic(None).traffic([interval(Role.DECODE)])
    assert (traffic.arrived, traffic.finished, traffic.ttft_count) == (10, 10, 10)


TTFT = amounts(100, 0.1, (0.1, 60.0), (0.25, 96.0), (float("inf"), 100.0))
ITL = amounts(100, 0.02, (0.01, 10.0), (0.025, 99.0), (float("inf"), 100.0))


@pytest.mark.parametrize(
    ("sla", "share"),
    [
        pytest.param("ttft=250ms", 0.96, id="one target at an edge"),
        pytest.param("ttft=200ms", None, id="one target between edges"),
        pytest.param("ttft=250ms,itl=25ms", 0.95, id="two: who is late for both counts twice"),
        pytest.param("ttft=250ms,itl=20ms", None, id="one of two between edges"),
        pytest.param("ttft=100ms,itl=10ms", 0.0, id="never below nothing"),
    ],
)
def test_attainment_is_known_where_edges_are_targets(sla, share):
    found = share_within(Sla.parse(sla), ttft=TTFT, itl=ITL)
    assert found == (None if share is None else pytest.approx(share))


def test_attainment_counts_the_requests_that_finished():
    sla = Sla.parse("ttft=250ms,itl=25ms")
    late = {"ttft": TTFT, "itl": ITL}
    assert ServedTraffic(sla).traffic([interval(requests=40, **late)]).within_sla == 38
    # Gaps between tokens are no means of requests.
    gaps = interval(requests=40, per_request=False, **late)
    assert ServedTraffic(sla).traffic([gaps]).within_sla is None
    assert share_within(None, ttft=TTFT, itl=ITL) is None


def test_quantiles_are_of_all_servers_together():
    one = interval(ttft=TTFT, itl=ITL)
    slow = amounts(300, 0.2, (0.1, 0.0), (0.25, 300.0), (float("inf"), 300.0))
    told = latencies([one, interval(ttft=slow, itl=ITL)])
    # 60 up to 0.1 s, 336 of the others up to 0.25 s, 4 above.
    assert told.ttft.p50 == pytest.approx(0.1 + 0.15 * 140 / 336)
    assert told.ttft.p95 == pytest.approx(0.1 + 0.15 * 320 / 336)
    assert told.ttft.p99 == pytest.approx(0.25)
    # Of a window twice as long the rate counts, which is half as much.
    slow = interval(seconds=10.0, ttft=slow, itl=ITL)
    assert latencies([one, slow]).ttft.p50 == pytest.approx(0.1 + 0.15 * 65 / 186)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        pytest.param({"ttft": None, "itl": None}, (False, False), id="one does not tell"),
        pytest.param({"ttft": amounts(5, 0.1)}, (False, True), id="one has no buckets"),
        pytest.param({"ttft": scaled(TTFT, 0.0)}, (True, True), id="one measured none"),
        pytest.param({"per_request": False}, (True, False), id="one counts gaps"),
    ],
)
def test_quantiles_are_known_where_every_server_tells(other, told):
    second = interval(**{"ttft": TTFT, "itl": ITL} | other)
    found = latencies([interval(ttft=TTFT, itl=ITL), second])
    kinds = (None, None) if found is None else (found.ttft, found.itl)
    assert tuple(kind is not None for kind in kinds) == told


def test_of_two_halves_only_the_gaps_have_quantiles():
    halves = [interval(role, ttft=TTFT, itl=ITL) for role in (Role.PREFILL, Role.DECODE)]
    told = latencies(halves)
    assert told.ttft is None
    assert told.itl.p50 == pytest.approx(0.01 + 0.015 * 40 / 89)
    assert latencies([]) is None


def test_arrivals_are_what_was_let_in():
    let_in = Admissions()
    assert let_in.arrived("a", None, entered=100, entering=4) is None
    assert let_in.arrived("a", AGAIN, entered=110, entering=6) == 12
    # One figure lags behind the other: nothing arrives twice.
    assert let_in.arrived("a", AGAIN, entered=112, entering=1) == 0
    assert let_in.arrived("a", AGAIN, entered=118, entering=2) == 4


def test_arrivals_after_a_restart_and_on_a_new_server():
    let_in = Admissions()
    let_in.arrived("a", None, entered=100, entering=4)
    assert let_in.arrived("a", RESTARTED, entered=3, entering=2) == 5
    assert let_in.arrived("a", AGAIN, entered=6, entering=1) == 2
    # It answered before, and had counted nothing yet.
    assert let_in.arrived("new", AGAIN, entered=2, entering=1) == 3


def test_who_leaves_uncounted_is_forgotten_when_all_have_left():
    let_in = Admissions()
    let_in.arrived("a", None, entered=0, entering=8)
    assert let_in.arrived("a", AGAIN, entered=3, entering=0) == 0
    assert let_in.arrived("a", AGAIN, entered=5, entering=0) == 2


def test_servers_that_are_gone_are_forgotten():
    let_in = Admissions()
    let_in.arrived("a", None, entered=7, entering=0)
    let_in.keep(["b"])
    assert let_in.arrived("a", None, entered=9, entering=0) is None
