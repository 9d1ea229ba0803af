"""The planner's /targets: what Prometheus is to scrape, as its HTTP service discovery reads it."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from planner.sources.scraped import ScrapedPage
from runtime.http.connection import Handler
from runtime.http.message import Request, Response, json_response

Group = Mapping[str, object]

_USER = re.compile(r"(?<=://)[^/]*@")


def answering(scraped: Callable[[], Iterable[ScrapedPage]], *, namespace: str) -> Handler:
    """Return what answers a request for the targets: the pages that are *scraped* now.

    The planner's own page is the first of them, at the address at which it was asked.
    """

    async def targets(request: Request) -> Response:
        own = request.headers.get("host", "")
        return json_response(target_groups(scraped(), namespace=namespace, own=own))

    return targets


def target_groups(pages: Iterable[ScrapedPage], *, namespace: str, own: str) -> Sequence[Group]:
    """Return a group for each of *pages*, after one for the planner at host:port *own*.

    Its labels tell where the page is and whose it is: ``component`` is the role of a replica,
    ``frontend`` or ``planner``, and ``name`` that of the replica.
    """
    planner = [_group(f"http://{own}/metrics", namespace, component="planner")] if own else []
    return [*planner, *(_group_of(page, namespace) for page in pages)]


def _group_of(page: ScrapedPage, namespace: str) -> Group:
    url = _without_user(page.url)
    if page.role is None:
        return _group(url, namespace, component="frontend")
    name = _without_user(page.name or "")  # of a server that was listed that is its URL
    return _group(url, namespace, component=page.role.value, name=name)


def _without_user(url: str) -> str:
    """Return *url* without a user name and password: whoever scrapes has their own."""
    return _USER.sub("", url)


def _group(url: str, namespace: str, **labels: str) -> Group:
    where = urlsplit(url)
    return {
        "targets": [where.netloc],
        "labels": {
            "__scheme__": where.scheme,
            "__metrics_path__": where.path,
            "namespace": namespace,
            **labels,
        },
    }
