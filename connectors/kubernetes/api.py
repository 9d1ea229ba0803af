"""The Kubernetes API as JSON over HTTP: credentials and connections are the SDK's.

Objects stay the dictionaries that the server sent. The SDK's models would cost more to build than
all that is read from them, and kinds of other groups have none.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode

import aiohttp

from planner.errors import ConfigError

Json = dict[str, Any]

MERGE_PATCH = "application/merge-patch+json"
_TRIES = 4
_LONGEST_WAIT_SECONDS = 2.0
_WATCH_GRACE_SECONDS = 5.0
_BUSY = frozenset({429, 503})


class ApiFault(Exception):
    """A request that did not succeed."""


class ApiAway(ApiFault):
    """The API server did not answer, or said that it cannot: nothing is known of the outcome."""


class ApiRefused(ApiFault):
    """The API server answered no, with *status* and its *reason*."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason

    @property
    def is_conflict(self) -> bool:
        """Whether somebody wrote in between (or created what was to be created)."""
        return self.status == 409

    @property
    def is_missing(self) -> bool:
        """Whether there is no such object or kind."""
        return self.status == 404

    @property
    def is_gone(self) -> bool:
        """Whether the version to go on from is no longer kept: list again."""
        return self.status == 410

    @property
    def is_forbidden(self) -> bool:
        """Whether the credentials do not reach so far."""
        return self.status in (401, 403)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of a watch: *type* is ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Json


class Api:
    """Requests to one API server through *client*, the SDK's.

    A busy server (429, 503) is asked again after what it says, a few times. All of that takes
    *timeout* at most: whoever may only write for so long counts on it.
    """

    def __init__(
        self,
        client: Any,
        *,
        timeout: float = 4.0,
        rng: Random | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._timeout = timeout
        self._rng = rng or Random()  # noqa: S311 - spreads retries, hides nothing
        self._sleep = sleep
        self.requests = 0
        """How many were sent, watches and repeated ones included."""

    async def get(self, path: str, **query: str) -> Json:
        """Return the object or list at *path*. Raises ApiFault."""
        return await self._asked("GET", path, query=query)

    async def create(self, path: str, body: Json) -> Json:
        """Return what was created at *path*. Raises ApiFault."""
        return await self._asked("POST", path, body=body)

    async def replace(self, path: str, body: Json) -> Json:
        """Return what *path* has become. Raises ApiFault, a conflict for an old version."""
        return await self._asked("PUT", path, body=body)

    async def patch(self, path: str, body: Json) -> Json:
        """Return what *path* has become with *body* merged into it. Raises ApiFault."""
        return await self._asked("PATCH", path, body=body, content=MERGE_PATCH)

    async def delete(self, path: str, body: Json | None = None) -> Json:
        """Return what the server says of the removal of *path*. Raises ApiFault."""
        return await self._asked("DELETE", path, body=body)

    async def watch(
        self, path: str, *, version: str, seconds: float, selector: str = ""
    ) -> AsyncGenerator[Event, None]:
        """Yield what happens at *path* after *version*, for *seconds* at most. Raises ApiFault."""
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(max(1, round(seconds))),
        }
        if selector:
            query["labelSelector"] = selector
        try:
            reply = await self._send("GET", path, query, None, None, seconds + _WATCH_GRACE_SECONDS)
            try:
                if reply.status != 200:
                    raise _refusal(reply.status, await reply.read())
                while line := await reply.response.content.readline():
                    yield _event(line)
            finally:
                _cut(reply.response)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ApiAway(_told(error)) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
        await asyncio.sleep(0)  # what is cut is closed a turn later

    async def _asked(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        content: str | None = None,
    ) -> Json:
        try:
            async with asyncio.timeout(self._timeout):
                for attempt in range(1, _TRIES + 1):
                    reply = await self._send(method, path, query, body, content, self._timeout)
                    raw = await reply.read()
                    if reply.status not in _BUSY or attempt == _TRIES:
                        break
                    await self._sleep(self._wait(reply.headers.get("Retry-After"), attempt))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiAway(_told(error)) from error
        return _answer(reply.status, raw)

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Json | None,
        content: str | None,
        seconds: float,
    ) -> Any:
        configuration = self._client.configuration
        headers = {"Accept": "application/json"}
        for setting in (await configuration.auth_settings()).values():
            headers[setting["key"]] = setting["value"]
        if content is not None:
            headers["Content-Type"] = content
        url = f"{configuration.host}{path}{'?' + urlencode(query) if query else ''}"
        self.requests += 1
        limit = aiohttp.ClientTimeout(total=seconds, connect=self._timeout)
        return await self._client.call_api(
            method, url, header_params=headers, body=body, _request_timeout=limit
        )

    def _wait(self, retry_after: str | None, attempt: int) -> float:
        asked = float(retry_after) if retry_after and retry_after.isdigit() else 0.1 * 2**attempt
        return min(asked, _LONGEST_WAIT_SECONDS) * self._rng.uniform(1.0, 1.3)


async def open_api(
    *, kubeconfig: Path | None = None, context: str | None = None, timeout: float = 4.0
) -> tuple[Api, str | None]:
    """Return the API of the current context, or of the cluster around this pod, and its namespace.

    Raises ConfigError for what does not name a cluster.
    """
    try:
        from kubernetes.aio import client, config
        from yaml import YAMLError
    except ImportError as error:
        raise ConfigError(
            "the Kubernetes client is not installed", hint="pip install 'planner[kubernetes]'"
        ) from error
    settings = client.Configuration()
    inside = Path("/var/run/secrets/kubernetes.io/serviceaccount")
    try:
        if kubeconfig is None and context is None and (inside / "token").exists():
            config.load_incluster_config(client_configuration=settings)
            namespace: str | None = (inside / "namespace").read_text().strip()
        else:
            await config.load_kube_config(
                config_file=str(kubeconfig) if kubeconfig else None,
                context=context,
                client_configuration=settings,
            )
            namespace = None
    except (config.ConfigException, OSError, YAMLError) as error:
        raise ConfigError(
            f"no Kubernetes cluster is named: {' '.join(str(error).split())}",
            hint="kubectl config get-contexts",
        ) from error
    return Api(client.ApiClient(settings), timeout=timeout), namespace


def is_older(one: str, other: str) -> bool:
    """Return whether the resource version *one* is from before *other*, as far as can be told."""
    return one.isdigit() and other.isdigit() and int(one) < int(other)


def _answer(status: int, raw: bytes) -> Json:
    if 200 <= status < 300:
        try:
            answer = json.loads(raw) if raw else {}
        except ValueError as error:
            raise ApiAway(f"no JSON in the answer: {error}") from error
        return answer if isinstance(answer, dict) else {}
    raise _refusal(status, raw)


def _refusal(status: int, raw: bytes) -> ApiFault:
    try:
        body = json.loads(raw)
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    reason, message = (
        body.get("reason", ""),
        body.get("message", raw[:200].decode(errors="replace")),
    )
    if status >= 500 or status == 429:
        return ApiAway(f"{status} {reason}: {message}")
    return ApiRefused(status, reason, message)


def _event(line: bytes) -> Event:
    event = json.loads(line)
    if event["type"] == "ERROR":
        told = event["object"]
        raise _refusal(int(told.get("code", 500)), json.dumps(told).encode())
    return Event(type=event["type"], object=event["object"])


def _cut(response: aiohttp.ClientResponse) -> None:
    """End *response* without a farewell: with TLS that would outlive whoever waits for it."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    response.close()


def _told(error: BaseException) -> str:
    return f"the API server does not answer: {str(error) or type(error).__name__}"
