"""What the planner tells Prometheus to scrape."""

import json

from planner.cli.control.scrape_targets import answering, target_groups
from planner.core.role import Role
from planner.sources.scraped import ScrapedPage
from runtime.http.message import Request

PAGES = [
    ScrapedPage(url="http://10.0.0.1:8080/metrics"),
    ScrapedPage(url="https://10.0.0.2:9000/prometheus/metrics", role=Role.DECODE, name="decode-1"),
]


def asked(**headers):
    return Request(
        method="GET", path="/targets", query="", headers=headers, body=b"", keep_alive=True,
        is_http_1_0=False,
    )  # fmt: skip


def test_each_page_with_whose_it_is_after_the_planners_own():
    groups = target_groups(PAGES, namespace="chat", own="planner:9400")
    labels = [group["labels"] for group in groups]
    assert [group["targets"] for group in groups] == [
        ["planner:9400"], ["10.0.0.1:8080"], ["10.0.0.2:9000"],
    ]  # fmt: skip
    assert labels == [
        {"__scheme__": "http", "__metrics_path__": "/metrics", "namespace": "chat",
         "component": "planner"},
        {"__scheme__": "http", "__metrics_path__": "/metrics", "namespace": "chat",
         "component": "frontend"},
        {"__scheme__": "https", "__metrics_path__": "/prometheus/metrics", "namespace": "chat",
         "component": "decode", "name": "decode-1"},
    ]  # fmt: skip


def test_a_password_in_a_url_is_not_told():
    url = "http://me:s@cret@10.0.0.3:80"
    pages = [
        ScrapedPage(url=f"{url}/metrics", role=Role.DECODE, name=url),
        ScrapedPage(url=f"{url}/metrics"),
    ]
    groups = target_groups(pages, namespace="chat", own="")
    assert [group["targets"] for group in groups] == [["10.0.0.3:80"]] * 2
    assert groups[0]["labels"]["name"] == "http://10.0.0.3:80"
    assert "cret" not in json.dumps(groups)


async def test_the_planner_is_where_it_was_asked_and_pages_are_those_of_the_moment():
    pages = []
    targets = answering(lambda: pages, namespace="planner")
    (own,) = json.loads((await targets(asked(host="planner:9400"))).body)
    assert own["targets"] == ["planner:9400"]
    pages += PAGES
    assert len(json.loads((await targets(asked(host="planner:9400"))).body)) == 3
    assert len(json.loads((await targets(asked())).body)) == 2
