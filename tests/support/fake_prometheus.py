"""A Prometheus in memory: it answers the expressions that planner asks, over HTTP.

What it knows of PromQL is a selector of equal and matching labels with a range, and time().
"""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

_SELECTOR = re.compile(r"\{(?P<matchers>.*)\}\[(?P<range>\d+)ms\]", re.DOTALL)
_MATCHER = re.compile(r'(?P<label>\w+)(?P<how>=~|=)(?P<text>"(?:[^"\\]|\\.)*")')
_SAMPLE = re.compile(r"(?P<name>[\w:]+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Labels = frozenset[tuple[str, str]]


class FakePrometheus:
    """Its clock is *now*, and `scrape` takes a page at that moment."""

    def __init__(self, *, now: float = 1_700_000_000.0) -> None:
        self.now = now
        self.asked: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.instead: Any = None
        """A coroutine function that answers in its place."""
        self.extra: dict[str, Any] = {}
        """What its answers hold beside the data."""
        self.honors_labels = False
        """Whether labels of a page win over those of its target."""
        self.url = ""
        self._samples: dict[Labels, list[tuple[float, float]]] = {}

    def scrape(self, page: str | None, **target: str) -> None:
        """Take *page* from a target with these labels; None is a scrape that failed."""
        self._add({"__name__": "up", **target}, 0.0 if page is None else 1.0)
        for line in (page or "").splitlines():
            if match := _SAMPLE.fullmatch(line):
                told = {name: json.loads(f'"{text}"') for name, text in _labels(match["labels"])}
                labels = {**target, **told} if self.honors_labels else _beside(told, target)
                self._add({"__name__": match["name"], **labels}, float(match["value"]))

    def _add(self, labels: Mapping[str, str], value: float) -> None:
        self._samples.setdefault(frozenset(labels.items()), []).append((self.now, value))

    async def answer(self, request: web.Request) -> web.StreamResponse:
        form = await request.post() if request.method == "POST" else request.query
        expression = str(form["query"])
        self.asked.append(expression)
        self.headers.append(request.headers)
        if self.instead is not None:
            answered: web.StreamResponse = await self.instead(request)
            return answered
        if expression == "time()":
            data = {"resultType": "scalar", "result": [self.now, str(self.now)]}
        else:
            data = {"resultType": "matrix", "result": self._select(expression)}
        return web.json_response({"status": "success", "data": data, **self.extra})

    def _select(self, expression: str) -> list[Mapping[str, Any]]:
        match = _SELECTOR.fullmatch(expression)
        assert match is not None, expression
        assert _MATCHER.sub("", match["matchers"]).strip(",") == "", expression
        matchers = [
            (one["label"], one["how"], json.loads(one["text"]))
            for one in _MATCHER.finditer(match["matchers"])
        ]
        oldest = self.now - int(match["range"]) / 1e3
        found = []
        for key, samples in self._samples.items():
            labels = dict(key)
            values = [[at, str(value)] for at, value in samples if oldest < at <= self.now]
            if values and all(_fits(labels.get(label, ""), *how) for label, *how in matchers):
                found.append({"metric": labels, "values": values})
        return found


def _fits(value: str, how: str, wanted: str) -> bool:
    return value == wanted if how == "=" else re.fullmatch(wanted, value) is not None


def _beside(told: Mapping[str, str], target: Mapping[str, str]) -> Mapping[str, str]:
    return {f"exported_{n}" if n in target else n: text for n, text in told.items()} | target


def _labels(text: str | None) -> list[tuple[str, str]]:
    return _LABEL.findall(text or "")


@asynccontextmanager
async def fake_prometheus() -> AsyncIterator[FakePrometheus]:
    """Yield one that listens at its *url*."""
    fake = FakePrometheus()
    app = web.Application()
    app.router.add_route("*", "/api/v1/query", fake.answer)
    server = TestServer(app)
    await server.start_server()
    fake.url = str(server.make_url("/")).rstrip("/")
    try:
        yield fake
    finally:
        await server.close()
