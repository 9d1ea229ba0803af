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
_PRESENT = re.compile(r"up\{(?P<matchers>.*)\}", re.DOTALL)
_REMEMBERED_SECONDS = 300.0
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
        self._gone: set[Labels] = set()

    def scrape(self, page: str | None, **target: str) -> None:
        """Take *page* from a target with these labels; None is a scrape that failed."""
        self._add({"__name__": "up", **target}, 0.0 if page is None else 1.0)
        for line in (page or "").splitlines():
            if match := _SAMPLE.fullmatch(line):
                told = {name: json.loads(f'"{text}"') for name, text in _labels(match["labels"])}
                labels = {**target, **told} if self.honors_labels else _beside(told, target)
                self._add({"__name__": match["name"], **labels}, float(match["value"]))

    def forget(self, **target: str) -> None:
        """Scrape the target with these labels no longer."""
        self._gone.add(frozenset({"__name__": "up", **target}.items()))

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
        elif match := _PRESENT.fullmatch(expression):
            data = {"resultType": "vector", "result": self._present(match["matchers"])}
        else:
            data = {"resultType": "matrix", "result": self._select(expression)}
        return web.json_response({"status": "success", "data": data, **self.extra})

    def _select(self, expression: str) -> list[Mapping[str, Any]]:
        match = _SELECTOR.fullmatch(expression)
        assert match is not None, expression
        oldest = self.now - int(match["range"]) / 1e3
        found = []
        for labels, samples in self._fitting(match["matchers"]):
            values = [[at, str(value)] for at, value in samples if oldest < at <= self.now]
            if values:
                found.append({"metric": dict(labels), "values": values})
        return found

    def _present(self, matchers: str) -> list[Mapping[str, Any]]:
        return [
            {"metric": dict(labels), "value": [self.now, str(samples[-1][1])]}
            for labels, samples in self._fitting(matchers)
            if ("__name__", "up") in labels
            and labels not in self._gone
            and samples[-1][0] > self.now - _REMEMBERED_SECONDS
        ]

    def _fitting(self, text: str) -> list[tuple[Labels, list[tuple[float, float]]]]:
        assert _MATCHER.sub("", text).strip(",") == "", text
        matchers = [
            (one["label"], one["how"], json.loads(one["text"])) for one in _MATCHER.finditer(text)
        ]
        return [
            (key, samples)
            for key, samples in self._samples.items()
            if all(_fits(dict(key).get(label, ""), *how) for label, *how in matchers)
        ]


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
