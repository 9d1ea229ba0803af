"""Arrivals in short bins of the wall clock: which bin, which are shown, what a clock may do."""

from timeit import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.frontend.arrivals import KEPT_SECONDS, ArrivalBins, arrivals_document, whole_bins

EPOCH = 1_700_000_000.0
MODEL = "tiny/chat"


class Wall:
    now = EPOCH

    def __call__(self):
        return self.now


@pytest.fixture
def wall():
    return Wall()


def shown(ring, *, since=None, now):
    return arrivals_document([ring], whole_bins(since=since, now=now))


def filled(wall, arrivals):
    """A ring of requests that arrived at (seconds after the epoch of these tests, isl)."""
    ring = ArrivalBins(wall)
    for at, isl in arrivals:
        wall.now = EPOCH + at
        ring.add(isl)
    return ring


def test_counts_lengths_and_squares_by_bin_without_the_running_one(wall):
    ring = filled(wall, [(0.0, 10), (0.2, 20), (0.25, 5), (0.8, 7)])
    assert shown(ring, since=EPOCH, now=EPOCH + 0.9) == {
        "bin_seconds": 0.25,
        "end": EPOCH + 0.75,
        "counts": [2, 1, 0],
        "isl": [30, 5, 0],
        "isl_squared": [500, 25, 0],
    }


@pytest.mark.parametrize(
    ("since", "bins"),
    [
        pytest.param(None, 480, id="all that is kept"),
        pytest.param(EPOCH - 1e6, 480, id="longer ago than is kept"),
        pytest.param(EPOCH + 9.5, 2, id="from a boundary"),
        pytest.param(EPOCH + 9.51, 1, id="within a bin: from the next one"),
        pytest.param(EPOCH + 9.8, 0, id="in the running bin"),
        pytest.param(EPOCH + 1e9, 0, id="later than now"),
    ],
)
def test_what_since_leaves(wall, since, bins):
    document = shown(ArrivalBins(wall), since=since, now=EPOCH + 10.1)
    assert (len(document["counts"]), document["end"]) == (bins, EPOCH + 10.0)


def test_no_request_and_no_ring_is_zeros():
    document = arrivals_document([], whole_bins(since=EPOCH, now=EPOCH + 1))
    assert document["counts"] == document["isl"] == document["isl_squared"] == [0] * 4


def test_two_models_add_up(wall):
    rings = [filled(wall, [(0.1, 10)]), filled(wall, [(0.1, 20), (0.3, 1)])]
    document = arrivals_document(rings, whole_bins(since=EPOCH, now=EPOCH + 0.5))
    assert (document["counts"], document["isl_squared"]) == ([2, 1], [500, 1])


@given(
    st.lists(st.tuples(st.floats(0, 300), st.integers(1, 10_000)), max_size=60),
    st.floats(0, 10),
)
def test_every_arrival_of_the_last_two_minutes_is_in_one_bin(arrivals, later):
    ring = filled(Wall(), sorted(arrivals))
    now = max([at for at, _ in arrivals], default=0.0) + later
    document = shown(ring, now=EPOCH + now)
    end = document["end"] - EPOCH
    kept = [isl for at, isl in arrivals if end - KEPT_SECONDS <= _floor(at) < end]
    assert (sum(document["counts"]), sum(document["isl"])) == (len(kept), sum(kept))


def _floor(at):
    return int((EPOCH + at) * 4) / 4 - EPOCH


@pytest.mark.parametrize("step", [-3600.0, -1.0, 3600.0])
def test_a_clock_that_is_set_counts_on_in_its_own_time(wall, step):
    ring = filled(wall, [(100.0, 10), (100.0 + step, 20)])
    now = EPOCH + 100.0 + step
    assert shown(ring, since=now, now=now + 0.25)["isl"] == [20]


def test_a_request_is_counted_within_microseconds(wall):
    ring = ArrivalBins(wall)
    best = min(timeit(lambda: ring.add(1000), number=1000) for _ in range(20))
    assert best / 1000 < 5e-6


async def page(deployment, query=""):
    async with deployment.http.get(f"/arrivals{query}") as answer:
        return answer.status, await answer.json()


async def test_the_page_shows_requests_as_they_are_accepted(deployment, worker, byte_level):
    wall = deployment.frontend.metrics.wall
    isl = len(byte_level.encode("hi").ids)
    since = wall()
    for prompt in ("hi", "hi", ""):  # an empty one is refused
        body = {"model": MODEL, "prompt": prompt, "max_tokens": 1}
        async with deployment.http.post("/v1/completions", json=body) as answer:
            await answer.read()
    over = wall() + 0.25
    await deployment.until(lambda: wall() > over)
    query = f"?since={since - 0.25}"
    status, shown = await page(deployment, query)
    assert status == 200
    assert (sum(shown["counts"]), sum(shown["isl"])) == (2, 2 * isl)
    assert sum(shown["isl_squared"]) == 2 * isl**2
    assert 0 <= wall() - shown["end"] < 5
    assert sum((await page(deployment, f"{query}&model={MODEL}"))[1]["counts"]) == 2
    assert sum((await page(deployment, f"{query}&model=other"))[1]["counts"]) == 0


@pytest.mark.parametrize("since", ["soon", "nan", "inf"])
async def test_a_moment_that_is_none_is_refused(deployment, since):
    status, body = await page(deployment, f"?since={since}")
    assert (status, body["error"]["param"]) == (400, "since")
