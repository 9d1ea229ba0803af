"""What `planner doctor` says of a Prometheus."""

import time
from pathlib import Path

import pytest
from fake_prometheus import fake_prometheus

from planner.cli.doctoring.finding import State
from planner.cli.doctoring.prometheus import prometheus

PAGES = Path(__file__).parents[1] / "sources" / "pages"
OK, FAILED = State.OK, State.FAILED


@pytest.fixture
async def fake(monkeypatch):
    monkeypatch.delenv("PLANNER_PROMETHEUS", raising=False)
    async with fake_prometheus() as fake:
        fake.now = time.time() - 5
        yield fake


def scrape(fake, page="vllm_busy", *, every=5.0, **target):
    """Have *page* scraped twice, the second time now."""
    text = (PAGES / f"{page}.txt").read_text() if page else None
    now, fake.now = fake.now, fake.now - every
    fake.scrape(text, **target)
    fake.now = now
    fake.scrape(text, **target)


async def told(fake, **flags):
    found = await prometheus({"prometheus": fake.url, **flags}, config=None)
    return {one.name: (one.state, one.found) for one in found}


async def test_all_is_well(fake):
    for host in ("h1:8000", "h2:8000"):
        scrape(fake, instance=host)
    servers = ("aggregated=http://h1:8000,http://h2:8000",)
    clocks = "its clock is 5s behind this one, which is no matter"
    assert await told(fake, servers=servers, model="tiny") == {
        "prometheus": (OK, f"{fake.url} answers; {clocks}"),
        "its targets": (OK, "2 scraped: h1:8000, h2:8000"),
        "its series of vllm": (OK, "all that planner reads"),
        "its models": (OK, "tiny"),
        "its scrapes": (OK, "every 5s; figures count up to 15s"),
    }  # fmt: skip


async def test_each_thing_that_is_wrong(fake):
    scrape(fake, instance="h1:8000", every=30.0)
    scrape(fake, None, instance="h2:8000")
    fake.scrape("sglang:num_running_reqs 1\n", instance="h3:8000")
    fake.scrape("go_goroutines 1\n", instance="h4:8000")
    urls = ",".join(f"http://h{number}:8000" for number in range(1, 6))
    found = await told(fake, servers=(f"aggregated={urls}",), model="large")
    assert found["its targets"] == (FAILED, "h5:8000 not scraped")
    assert found["its series of vllm"][0] is OK
    state, what = found["its series of sglang"]
    assert state is FAILED
    assert "sglang:num_requests_total" in what
    assert "sglang:num_running_reqs" not in what
    assert found["its series of no known server"][0] is FAILED
    assert found["its models"] == (FAILED, "tiny: not large")
    assert found["its scrapes"] == (FAILED, "every 30s, decisions every 5s")


async def test_a_target_that_cannot_be_scraped(fake):
    scrape(fake, instance="h1:8000")
    scrape(fake, None, instance="h2:8000")
    found = await told(fake, servers=("aggregated=http://h1:8000,http://h2:8000",))
    assert found["its targets"] == (FAILED, "h2:8000 of 2 cannot be scraped")


async def test_what_others_have_there_is_left_out(fake):
    scrape(fake, instance="h1:8000", job="llm")
    fake.scrape("go_goroutines 1\n", instance="h9:80", job="web")
    assert (await told(fake))["its targets"] == (OK, "1 scraped: h1:8000")
    found = await told(fake, prometheus_labels=("job=db",))
    assert found["its targets"] == (
        FAILED, f"{fake.url} scrapes nothing of use with job=db and instance=any",
    )  # fmt: skip


async def test_one_that_is_away_and_one_that_is_not_named(fake):
    found = await told(fake, prometheus="http://127.0.0.1:9")
    assert found["prometheus"][0] is FAILED
    assert await prometheus({}, config=None) == []


async def test_settings_that_cannot_be_used(fake):
    found = await told(fake, prometheus_token_file="/gone")
    assert found == {"settings": (FAILED, "/gone: No such file or directory")}


async def test_a_label_that_is_another_on_the_series(fake):
    fake.honors_labels = True
    fake.scrape('planner_worker_requests_running{instance="d-1"} 1\n', instance="h:1", name="d-1")
    found = await told(fake)
    assert found["its labels"][0] is FAILED
    assert "its labels" not in await told(fake, prometheus_replica="name")


async def test_pods_of_a_namespace(fake):
    for namespace in ("chat", "other"):
        scrape(fake, pod=f"{namespace}-1", namespace=namespace, instance="10.0.0.1:8000")
    found = await told(fake, connector="kubernetes", kube_namespace="chat")
    assert found["its targets"] == (OK, "1 scraped: chat-1")
