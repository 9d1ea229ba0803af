"""One response while it is generated, whichever instances work on it.

Everything that happens per token happens here, in the callback of the connection that delivers it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from runtime.call import Call
from runtime.errors import MalformedFrame, RuntimeFault
from runtime.frontend.measure import Measure
from runtime.frontend.text import TextStream
from runtime.protocol import FinishReason, GenerateRequest, TokenDelta, TokenLogprobs

_decode = msgspec.msgpack.Decoder(TokenDelta).decode
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one request as they are billed."""

    prompt: int
    completion: int
    cached: int


class Answer(Protocol):
    """What becomes of the text."""

    def text(self, text: str) -> None:
        """Take the next piece, never empty."""
        ...

    def scored(self, tokens: Sequence[TokenLogprobs]) -> None:
        """Take the probabilities of tokens; their text comes next, if they have any."""
        ...

    def finish(self, text: str, reason: FinishReason, usage: Usage) -> None:
        """Take the last piece, perhaps empty, and the end."""
        ...


class Generation:
    """The sink of every call made for one request."""

    def __init__(
        self, request: GenerateRequest, text: TextStream, *, answer: Answer, measure: Measure
    ) -> None:
        self.request = request
        self.is_complete = False
        self._text = text
        self._answer = answer
        self._measure = measure
        self._tokens: list[int] = []
        self._call: Call | None = None
        self._is_first = True
        """Whether it is begun without tokens of an earlier call."""
        self._ended: asyncio.Future[RuntimeFault | None]

    def begin(self) -> tuple[bytes, list[int]]:
        """Return the request to send now, and its prompt: after a migration with the tokens so far.

        The prompt is for whoever chooses the instance.
        """
        self._ended = asyncio.get_running_loop().create_future()
        self._call = None
        self._is_first = not self._tokens
        request = msgspec.structs.replace(
            self.request,
            token_ids=self.request.token_ids + self._tokens,
            resumed=len(self._tokens),
        )
        return _encode(request), request.token_ids

    def attach(self, call: Call) -> None:
        """Take note of the call that was opened with what `begin` returned."""
        if self._is_first:
            self._measure.expected_cached_tokens = call.cached_tokens or 0
        self._call = call
        if self.is_complete:
            call.stop()

    async def ended(self) -> RuntimeFault | None:
        """Return None once the response is complete, or the fault that broke it."""
        return await self._ended

    def close(self) -> None:
        """Drop the call unless it has given all that was wanted."""
        if self._call is not None and not self.is_complete:
            self._call.kill()

    def on_data(self, body: bytes) -> None:
        """Take tokens from the worker. Raises MalformedFrame for what is none."""
        if self.is_complete:
            return
        try:
            delta = _decode(body)
            self._take(delta)
        except (msgspec.MsgspecError, OverflowError) as error:
            raise MalformedFrame(f"not a token delta: {error}") from error

    def on_end(self, fault: RuntimeFault | None) -> None:
        """Take the end of a call."""
        if self.is_complete or self._ended.done():
            return
        if fault is None:
            fault = RuntimeFault("the worker ended the response without a reason")
        elif len(self._tokens) >= self.request.sampling.max_tokens:
            self._complete("", FinishReason.LENGTH)  # only the end itself was lost
            return
        self._ended.set_result(fault)

    def _take(self, delta: TokenDelta) -> None:
        token_ids, reason = delta.token_ids, delta.finish_reason
        if delta.cached_tokens is not None and not self._tokens:
            self._measure.cached_tokens = delta.cached_tokens
        visible = token_ids[:-1] if reason is FinishReason.STOP else token_ids
        text, used = self._text.push(visible)
        if self._text.is_stopped:
            token_ids, reason = token_ids[:used], FinishReason.STOP
        if token_ids:
            self._tokens += token_ids
            self._measure.tokens(len(token_ids))
        if delta.logprobs is not None:
            self._answer.scored(delta.logprobs[:used])
        if reason is not None:
            self._complete(text, reason)
        elif text:
            self._answer.text(text)

    def _complete(self, text: str, reason: FinishReason) -> None:
        self.is_complete = True
        if self._text.is_stopped:
            if self._call is not None:
                self._call.stop()
        else:
            text += self._text.flush()
        usage = Usage(
            prompt=len(self.request.token_ids),
            completion=len(self._tokens),
            cached=self._measure.cached_tokens,
        )
        self._answer.finish(text, reason, usage)
        if not self._ended.done():
            self._ended.set_result(None)
