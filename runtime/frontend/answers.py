"""Where the text of a response goes: into a stream of events, or into one JSON body."""

from collections.abc import Sequence

import msgspec

from runtime.frontend.errors import ApiError, error_body
from runtime.frontend.generation import Usage
from runtime.frontend.scores import Scores
from runtime.frontend.shapes import DONE, Shape, usage_body
from runtime.http.message import Header, Request, Response, StreamWriter
from runtime.protocol import FinishReason, TokenLogprobs

_escape = msgspec.json.Encoder().encode


class StreamedAnswer:
    """Server-sent events; the status leaves with the first text, so an error before has its own."""

    def __init__(
        self,
        request: Request,
        shape: Shape,
        *,
        headers: tuple[Header, ...],
        with_usage: bool,
        scores: Scores | None = None,
    ) -> None:
        self._request = request
        self._shape = shape
        self._headers = headers
        self._scores = scores
        self._with_usage = with_usage
        self._no_usage = msgspec.Raw(b"null") if with_usage else None
        self._before, self._after = shape.text_parts(with_usage=with_usage)
        self._stream: StreamWriter | None = None

    def text(self, text: str) -> None:
        """Send one event."""
        stream = self._stream
        if stream is None:
            stream = self._begin()
        if self._scores is None:
            stream.write(self._before + _escape(text) + self._after)
        else:
            choice = self._shape.text_choice(text, self._scores.take())
            stream.write(self._shape.chunk([choice], self._no_usage))

    def scored(self, tokens: Sequence[TokenLogprobs]) -> None:
        """Hold them for the event with their text."""
        if self._scores is not None:
            self._scores.add(tokens)

    def finish(self, text: str, reason: FinishReason, usage: Usage) -> None:
        """Send the last text, the reason, the usage where it is wanted, and the end mark."""
        if text or (self._scores is not None and self._scores.are_held):
            self.text(text)
        last = self._shape.chunk([self._shape.last_choice(reason)], self._no_usage)
        totals = self._shape.chunk([], usage_body(usage)) if self._with_usage else b""
        (self._stream or self._begin()).write(last + totals + DONE)

    def result(self) -> StreamWriter:
        """Return the stream, complete."""
        assert self._stream is not None
        return self._stream

    def failed(self, error: ApiError) -> StreamWriter:
        """Return the stream, ended by *error* as an event; raises it when nothing was sent."""
        if self._stream is None:
            raise error
        self._stream.write(b"data: %b\n\n" % msgspec.json.encode(error_body(error)))
        return self._stream

    def _begin(self) -> StreamWriter:
        headers = [("cache-control", "no-cache"), *self._headers]
        self._stream = self._request.open_stream("text/event-stream; charset=utf-8", headers)
        opening = self._shape.opening()
        if opening is not None:
            self._stream.write(self._shape.chunk([opening], self._no_usage))
        return self._stream


class WholeAnswer:
    """One JSON body at the end."""

    def __init__(
        self, shape: Shape, *, headers: tuple[Header, ...], scores: Scores | None = None
    ) -> None:
        self._shape = shape
        self._headers = headers
        self._scores = scores
        self._pieces: list[str] = []
        self._body = b""

    def text(self, text: str) -> None:
        """Keep one piece."""
        self._pieces.append(text)

    def scored(self, tokens: Sequence[TokenLogprobs]) -> None:
        """Keep them."""
        if self._scores is not None:
            self._scores.add(tokens)

    def finish(self, text: str, reason: FinishReason, usage: Usage) -> None:
        """Make the body."""
        scores = None if self._scores is None else self._scores.take()
        whole = "".join([*self._pieces, text])
        self._body = self._shape.whole(whole, reason, usage, scores=scores)

    def result(self) -> Response:
        """Return the response."""
        return Response(body=self._body, content_type="application/json", headers=self._headers)

    def failed(self, error: ApiError) -> Response:
        """Raise *error*: nothing was sent."""
        raise error
