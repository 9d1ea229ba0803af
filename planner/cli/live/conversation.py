"""A conversation with an OpenAI endpoint, one blocking request at a time."""

import json
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from planner.errors import ConfigError, PlannerError

_SECONDS = 120.0
"""Longest silence of the endpoint."""


class Conversation:
    """What was said so far with *model* at *url*, which sees all of it with each question.

    Raises PlannerError when the endpoint does not answer.
    """

    def __init__(
        self, url: str, *, model: str | None, max_tokens: int, system: str | None = None
    ) -> None:
        self._url = url.rstrip("/").removesuffix("/v1")
        self._max_tokens = max_tokens
        self._opening = [{"role": "system", "content": system}] if system else []
        self._said: list[dict[str, str]] = []
        self.model = model or self._only_model()

    def forget(self) -> None:
        """Begin anew."""
        self._said.clear()

    def ask(self, said: str) -> Generator[str, None, None]:
        """Yield the answer to *said* as it comes.

        What was yielded becomes part of the conversation, also when the rest is not asked for.
        Nothing does when the request fails.
        """
        question = {"role": "user", "content": said}
        body = {
            "model": self.model,
            "messages": [*self._opening, *self._said, question],
            "max_tokens": self._max_tokens,
            "stream": True,
        }
        told: list[str] = []
        try:
            for piece in self._streamed(body):
                told.append(piece)
                yield piece
        finally:
            if told:
                self._said += [question, {"role": "assistant", "content": "".join(told)}]

    def _streamed(self, body: Mapping[str, Any]) -> Generator[str, None, None]:
        with closing(self._connection()) as connection:
            try:
                connection.request(
                    "POST", self._path("chat/completions"), json.dumps(body),
                    {"Content-Type": "application/json"},
                )  # fmt: skip
                yield from _pieces(self._checked(connection.getresponse()))
            except (OSError, HTTPException) as error:
                raise self._silent(error) from error

    def _only_model(self) -> str:
        with closing(self._connection()) as connection:
            try:
                connection.request("GET", self._path("models"))
                listed = json.load(self._checked(connection.getresponse()))
                models = [str(model["id"]) for model in listed["data"]]
            except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
                raise self._silent(error) from error
        if len(models) == 1:
            return models[0]
        if not models:
            raise PlannerError(f"{self._url}: serves no model now", hint="planner status")
        raise ConfigError(f"{self._url}: serves {', '.join(models)}", hint=f"--model {models[0]}")

    def _connection(self) -> HTTPConnection:
        parts = urlsplit(self._url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=_SECONDS)

    def _path(self, name: str) -> str:
        return f"{urlsplit(self._url).path}/v1/{name}"

    def _checked(self, response: HTTPResponse) -> HTTPResponse:
        if response.status == 200:
            return response
        text = response.read().decode(errors="replace")
        try:
            message = json.loads(text)["error"]["message"]
        except (ValueError, KeyError, TypeError):
            message = text.strip()[:200]
        raise PlannerError(f"{self._url}: HTTP {response.status}: {message}", hint="planner status")

    def _silent(self, error: Exception) -> PlannerError:
        return PlannerError(
            f"{self._url}: not an OpenAI endpoint that answers: {error}",
            hint="planner serve starts one; planner status shows its address",
        )


def _pieces(lines: Iterable[bytes]) -> Generator[str, None, None]:
    for line in lines:
        data = line.removeprefix(b"data: ").strip()
        if data == line.strip() or data == b"[DONE]":
            continue
        event = json.loads(data)
        if "error" in event:
            raise PlannerError(f"the answer broke off: {event['error'].get('message')}")
        for choice in event.get("choices", ()):
            if content := choice.get("delta", {}).get("content"):
                yield content
