"""The OpenAI endpoint in front of the engine, and what its client sees of one request."""

import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Self

import aiohttp

_CONNECT_SECONDS = 10.0
_DONE = b"data: [DONE]"
_EVENT = b"data: "
_TOLD = 200
"""Characters of a server's message that are worth repeating."""


class NoAnswer(Exception):
    """The server did not give what was asked for; the message says why in a few words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer: seconds until its first token, and the tokens that the server counted."""

    ttft_seconds: float
    prompt_tokens: int
    completion_tokens: int


class Stream:
    """One request under way: the moments at which its tokens came."""

    def __init__(self) -> None:
        self.moments: list[float] = []
        self.is_over = False

    def take(self, data: bytes, moment: float) -> None:
        """Note the tokens in *data*. Raises NoAnswer when it tells of an error instead."""
        if b'"error"' in data:
            raise NoAnswer(_told(data))
        self.moments += [moment] * data.count(_EVENT)
        self.is_over = _DONE in data


class Client:
    """A client of the server at *url*; a context manager. *clock* returns seconds.

    A request fails once it takes *timeout* seconds. Nothing is tried again.
    """

    def __init__(
        self, url: str, *, timeout: float, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._url = f"{url.rstrip('/')}/v1/completions"
        self._timeout = timeout
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the client."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=self._timeout, sock_connect=_CONNECT_SECONDS),
            headers={"Content-Type": "application/json", "Accept-Encoding": "identity"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def complete(self, body: bytes) -> Answer:
        """Send *body* and return its whole answer. Raises NoAnswer."""
        sent, first = self._clock(), None
        collected: list[bytes] = []
        async with aclosing(self._pieces(body)) as pieces:
            async for moment, data in pieces:
                first = moment if first is None else first
                collected.append(data)
        whole = b"".join(collected)
        usage = _usage(whole)
        if first is None or _DONE not in whole:
            raise NoAnswer("the stream broke off")
        return Answer(
            ttft_seconds=first - sent,
            prompt_tokens=int(usage["prompt_tokens"]),
            completion_tokens=int(usage["completion_tokens"]),
        )

    async def follow(self, body: bytes, stream: Stream) -> None:
        """Send *body* and note in *stream* what comes, until it ends. Raises NoAnswer."""
        async with aclosing(self._pieces(body)) as pieces:
            async for moment, data in pieces:
                stream.take(data, moment)
        if not stream.is_over:
            raise NoAnswer("the stream broke off")

    async def _pieces(self, body: bytes) -> AsyncGenerator[tuple[float, bytes], None]:
        assert self._session is not None, "Client is a context manager"
        try:
            async with self._session.post(self._url, data=body) as response:
                if response.status != 200:
                    text = await response.read()
                    raise NoAnswer(f"HTTP {response.status}: {_told(text)}")
                while data := await response.content.readany():
                    yield self._clock(), data
        except TimeoutError:
            raise NoAnswer(f"no answer in {self._timeout:g}s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise NoAnswer(str(error)[:_TOLD] or type(error).__name__) from error


def _usage(body: bytes) -> dict[str, Any]:
    """Return what the server counted. Raises NoAnswer when it reports an error or no count."""
    for line in reversed(body.split(b"\n")):
        if line.startswith(_EVENT + b"{"):
            event = _decoded(line.removeprefix(_EVENT))
            if "error" in event:
                raise NoAnswer(_message(event))
            if event.get("usage"):
                return dict(event["usage"])
    raise NoAnswer("the server counted no tokens")


def _told(data: bytes) -> str:
    """Return the message of an error wherever it stands in *data*, else the beginning of that."""
    for line in data.split(b"\n"):
        event = _decoded(line.removeprefix(_EVENT))
        if "error" in event:
            return _message(event)
    return data.decode(errors="replace").strip()[:_TOLD]


def _message(event: dict[str, Any]) -> str:
    error = event["error"]
    return str(error.get("message", error) if isinstance(error, dict) else error)[:_TOLD]


def _decoded(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
