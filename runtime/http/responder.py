"""Writes the answer to one request after the other on a connection."""

import asyncio
import logging
from collections.abc import Iterable

from runtime.http.message import (
    Header,
    Request,
    Response,
    StreamWriter,
    encode_head,
)
from runtime.http.stream import Stream

log = logging.getLogger(__name__)


class Responder:
    """Knows the request that is being answered and whether the connection outlives the answer."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.is_draining = False
        self._transport = transport
        self._request: Request | None = None
        self._stream: Stream | None = None

    def begin(self, request: Request) -> None:
        """Answer *request* from here on."""
        self._request = request
        self._stream = None
        request.connection = self

    @property
    def keeps_alive(self) -> bool:
        """Whether another request may follow on this connection."""
        request = self._request
        return request is not None and request.keep_alive and not self.is_draining

    def open_stream(self, content_type: str, headers: Iterable[Header] = ()) -> Stream:
        """Answer the request with a stream."""
        request = self._request
        assert request is not None
        chunked = not request.is_http_1_0
        framing = [("transfer-encoding", "chunked")] if chunked else []
        request.keep_alive = request.keep_alive and chunked
        head = [("content-type", content_type), *framing, *headers, *self._connection_header()]
        self._stream = Stream(self._transport, head=encode_head(200, head), chunked=chunked)
        return self._stream

    def finish(self, answer: Response | StreamWriter) -> None:
        """Complete the answer: end the stream that was opened, or send the response."""
        stream = self._stream
        if stream is not None and answer is stream:
            stream.finish()
        elif stream is not None and stream.has_begun:
            self._transport.abort()  # half an answer must not look like a whole one
        elif not self._transport.is_closing():
            assert isinstance(answer, Response)
            self.send(answer)
        self._stream = None

    def send(self, response: Response) -> None:
        """Send a complete response."""
        head = [
            ("content-type", response.content_type),
            ("content-length", str(len(response.body))),
            *response.headers,
            *self._connection_header(),
        ]
        is_head = self._request is not None and self._request.method == "HEAD"
        body = b"" if is_head else response.body
        self._transport.write(encode_head(response.status, head) + body)

    def refuse(self, response: Response) -> None:
        """Answer what could not be read as a request, as the last thing on this connection."""
        self._request = None
        self.send(response)
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def cut_slow_stream(self) -> None:
        """Drop the client of a stream that reads more slowly than the stream is written."""
        if self._stream is not None and self._stream.is_open:
            buffered = self._transport.get_write_buffer_size()
            log.warning("slow client cut off unread_bytes=%d", buffered)
            self._stream.cut()
            self._transport.abort()

    def lost(self) -> None:
        """Write nothing more: the client is gone."""
        if self._stream is not None:
            self._stream.cut()

    def _connection_header(self) -> list[Header]:
        if not self.keeps_alive:
            return [("connection", "close")]
        assert self._request is not None
        return [("connection", "keep-alive")] if self._request.is_http_1_0 else []
