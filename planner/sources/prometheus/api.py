"""Queries to a Prometheus, or to what speaks its API, over HTTP."""

import asyncio
import base64
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp

from planner.errors import ConfigError, MetricsUnavailable

_LONGEST_GET = 4000
_LONGEST_TOLD = 200
_LONGEST_PAUSE_SECONDS = 60.0
_BUSY = frozenset({429, 503})
_REFUSED = frozenset({401, 403})


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Where a Prometheus is, and what lets in there.

    Files with secrets are read anew at each request: tokens are renewed while a planner runs.
    """

    url: str
    token_file: Path | None = None
    user: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None

    def headers(self) -> Mapping[str, str]:
        """Return who asks. Raises MetricsUnavailable for a file that cannot be read."""
        if self.token_file is not None:
            return {"Authorization": f"Bearer {_secret(self.token_file)}"}
        if self.user is not None:
            password = "" if self.password_file is None else _secret(self.password_file)
            pair = base64.b64encode(f"{self.user}:{password}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        return {}

    def trust(self) -> ssl.SSLContext | bool:
        """Return whom to trust. Raises ConfigError for a file that holds no certificates."""
        if self.ca_file is None:
            return True
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"{self.ca_file}: {error.strerror or error}", hint="--prometheus-ca-file FILE"
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series: its labels, the name among them, and its samples, (time, value), oldest first."""

    labels: Mapping[str, str]
    samples: Sequence[tuple[float, float]]


class PrometheusApi:
    """Asks the Prometheus at *access*, which has *timeout* seconds for each answer.

    One that asks to be left alone (429, 503 with Retry-After) is, for as long as it says, but a
    minute at most. Everything that goes wrong is MetricsUnavailable.
    """

    def __init__(self, access: Access, *, timeout: float) -> None:
        self.url = access.url.rstrip("/")
        self._access = access
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None
        self._paused_until = 0.0

    async def samples(self, expression: str) -> Sequence[Series]:
        """Return the series of *expression*, which selects a range."""
        data = await self._query(expression)
        try:
            return [
                Series(
                    labels=found["metric"],
                    samples=[(float(at), float(value)) for at, value in found.get("values", ())],
                )
                for found in data["result"]
            ]
        except (KeyError, TypeError, ValueError):
            raise self._strange() from None

    async def now(self) -> float:
        """Return its time, in seconds since the epoch: what the times of samples compare with."""
        data = await self._query("time()")
        try:
            return float(data["result"][1])
        except (KeyError, IndexError, TypeError, ValueError):
            raise self._strange() from None

    async def instant(self, expression: str) -> tuple[Sequence[Mapping[str, str]], float]:
        """Return the labels of the series that *expression* selects at the moment, and its time.

        That is 0 without any.
        """
        data = await self._query(expression)
        try:
            found = [(one["metric"], float(one["value"][0])) for one in data["result"]]
        except (KeyError, IndexError, TypeError, ValueError):
            raise self._strange() from None
        return [labels for labels, _ in found], max((at for _, at in found), default=0.0)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _query(self, expression: str) -> Any:
        wait = self._paused_until - asyncio.get_running_loop().time()
        if wait > 0:
            raise MetricsUnavailable(f"{self.url} asked to be left alone for {wait:.0f}s more")
        try:
            text = await self._ask(urlencode({"query": expression}))
        except TimeoutError:
            raise MetricsUnavailable(
                f"{self.url} did not answer in {self._timeout:g}s", hint="--metrics-timeout 5s"
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise MetricsUnavailable(
                f"{self.url} does not answer: {_short(error)}",
                hint=f"planner doctor --prometheus {self.url}",
            ) from None
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or answer.get("status") != "success":
            raise self._strange()
        if warnings := answer.get("warnings"):
            # What is missing from a partial answer would count as gone, or as nothing.
            raise MetricsUnavailable(f"{self.url} answers in part: {_short(warnings[0])}")
        return answer.get("data")

    async def _ask(self, form: str) -> str:
        client, address = self._client(), f"{self.url}/api/v1/query"
        headers = self._access.headers()
        asking = (
            client.get(f"{address}?{form}", headers=headers)
            if len(form) <= _LONGEST_GET
            else client.post(
                address,
                data=form,
                headers={**headers, "Content-Type": "application/x-www-form-urlencoded"},
            )
        )
        async with asking as response:
            text = await response.text(errors="replace")
            if not response.ok:
                raise self._refusal(response, text)
            return text

    def _refusal(self, response: aiohttp.ClientResponse, text: str) -> MetricsUnavailable:
        status = response.status
        if status in _BUSY:
            self._pause(response.headers.get("Retry-After", ""))
        what = f"{self.url} answers {status}"
        if status in _REFUSED:
            return MetricsUnavailable(
                what, hint="--prometheus-token-file FILE, or --prometheus-user and a password file"
            )
        if status == 404:
            return MetricsUnavailable(
                f"{what}: there is no /api/v1/query", hint="--prometheus names another address"
            )
        return MetricsUnavailable(f"{what}: {_short(_said(text) or response.reason or text)}")

    def _pause(self, asked: str) -> None:
        if asked.isdigit():
            seconds = min(float(asked), _LONGEST_PAUSE_SECONDS)
            self._paused_until = asyncio.get_running_loop().time() + seconds

    def _strange(self) -> MetricsUnavailable:
        return MetricsUnavailable(
            f"{self.url} answers as no Prometheus does", hint="--prometheus names another address"
        )

    def _client(self) -> aiohttp.ClientSession:
        # Opened at the first use: aiohttp wants a running loop.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout),
                connector=aiohttp.TCPConnector(ssl=self._access.trust()),
            )
        return self._session


def _secret(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise MetricsUnavailable(f"{path}: {reason}", hint="it holds the secret alone") from None


def _said(text: str) -> str | None:
    """Return why a query was refused, where an answer says that."""
    try:
        answer = json.loads(text)
    except ValueError:
        return None
    return str(answer["error"]) if isinstance(answer, dict) and "error" in answer else None


def _short(what: object) -> str:
    return " ".join(str(what).split())[:_LONGEST_TOLD] or type(what).__name__
