"""The OpenAI endpoint under load, as its client sees it."""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any, Self

import aiohttp

from planner.errors import PlannerError
from planner.replay.stream import Answer, BadStream, Piece, answer

_CONNECT_SECONDS = 10.0
# Shorter than any server's: a connection that it is just closing would fail a request.
_IDLE_SECONDS = 2.0
_TOLD = 200
"""Characters of a server's message that are worth repeating."""


class RequestFailed(Exception):
    """The server did not give a whole answer; the message says why in a few words."""


class Endpoint:
    """A client of the server at *url*, such as ``http://127.0.0.1:8000``; a context manager.

    A request fails once it takes *timeout* seconds. Nothing is retried. All moments are on
    *clock*, which is finer than an event loop's own.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 600.0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self.clock = clock
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the client."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=self._timeout, sock_connect=_CONNECT_SECONDS),
            headers={"Content-Type": "application/json", "Accept-Encoding": "identity"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def models(self) -> Sequence[str]:
        """Return the names of the models served; raises PlannerError when nothing answers."""
        try:
            return await self._listed()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._useless(_reason(error)) from error
        except (RequestFailed, ValueError, KeyError, TypeError) as error:
            raise self._useless(f"/v1/models: {error}") from error

    async def _listed(self) -> Sequence[str]:
        async with self._client.get(f"{self.url}/v1/models") as response:
            if response.status != 200:
                raise RequestFailed(await _refusal(response))
            listed = await response.json(content_type=None)
            return [str(model["id"]) for model in listed["data"]]

    async def complete(self, body: bytes) -> Answer:
        """Send the completion *body* and return when its tokens came; raises RequestFailed."""
        try:
            async with self._client.post(f"{self.url}/v1/completions", data=body) as response:
                if response.status != 200:
                    raise RequestFailed(await _refusal(response))
                return answer(await self._pieces(response))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise RequestFailed(_reason(error, after=self._timeout)) from error
        except BadStream as error:
            raise RequestFailed(str(error)) from error

    async def _pieces(self, response: aiohttp.ClientResponse) -> list[Piece]:
        pieces: list[Piece] = []
        while data := await response.content.readany():
            pieces.append((self.clock(), data))
        return pieces

    @property
    def _client(self) -> aiohttp.ClientSession:
        assert self._session is not None, "Endpoint is a context manager"
        return self._session

    def _useless(self, why: str) -> PlannerError:
        return PlannerError(
            f"{self.url}: not an OpenAI endpoint that answers: {why}",
            hint="planner serve starts one; planner status shows its address",
        )


async def _refusal(response: aiohttp.ClientResponse) -> str:
    """Return ``HTTP 503: the message`` for an answer that is not 200."""
    text = await response.text(errors="replace")
    try:
        document: Any = json.loads(text)
        message = document["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = text.strip()
    return f"HTTP {response.status}: {message}"[:_TOLD].removesuffix(": ")


def _reason(error: Exception, *, after: float | None = None) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer in {after:g}s" if after else "no answer in time"
    return str(error)[:_TOLD] or type(error).__name__
