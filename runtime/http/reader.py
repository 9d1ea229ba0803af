"""Bytes of one connection into requests, within the limits. Knows no sockets."""

from collections import deque
from urllib.parse import unquote

import httptools

from runtime.http.limits import HttpLimits
from runtime.http.message import HttpRefusal, Request

_UPGRADE = frozenset({"upgrade", "connection", "http2-settings"})


class RequestReader:
    """Collects pipelined requests in *requests*; after *refusal* nothing more is read."""

    def __init__(self, limits: HttpLimits) -> None:
        self.requests: deque[Request] = deque()
        self.refusal: HttpRefusal | None = None
        self._limits = limits
        self._assembly = _Assembly(limits, self.requests)
        self._parser = httptools.HttpRequestParser(self._assembly)
        self._assembly.parser = self._parser

    @property
    def is_in_head(self) -> bool:
        """Whether a request has begun whose headers are not complete."""
        return self._assembly.in_head

    @property
    def is_in_body(self) -> bool:
        """Whether a request's headers are complete and its body is not."""
        return self._assembly.in_body

    def take_expectation(self) -> bool:
        """Return whether the client waits for ``100 Continue``, once for each such request."""
        due, self._assembly.expects_continue = self._assembly.expects_continue, False
        return due

    def feed(self, data: bytes) -> None:
        """Take *data*; what is malformed or beyond the limits becomes *refusal*."""
        if self.refusal is not None:
            return
        was_in_head = self._assembly.in_head
        try:
            self._parse(data)
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, HttpRefusal):
                raise
            self.refusal = error.__context__
        except httptools.HttpParserError as error:
            self.refusal = HttpRefusal(400, f"malformed request: {error}")
        if was_in_head and self._assembly.in_head:
            self._count_unfinished(len(data))

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # No protocol is offered to upgrade to, so the connection goes on as HTTP/1.1.
            self._parser = httptools.HttpRequestParser(self._assembly)
            self._assembly.parser = self._parser
            rest = self._assembly.take_back_head() + data[upgrade.args[0] :]
            if rest:
                self._parse(rest)

    def _count_unfinished(self, length: int) -> None:
        # A header that never ends is never reported, so its bytes are counted as they come.
        self._assembly.head_bytes += length
        if self.refusal is None and self._assembly.head_bytes > self._limits.head_bytes:
            self.refusal = _head_too_large(self._limits)


class _Assembly:
    """The request that is being read; the parser's callbacks."""

    def __init__(self, limits: HttpLimits, requests: deque[Request]) -> None:
        self.parser: httptools.HttpRequestParser
        self.in_head = False
        self.in_body = False
        self.expects_continue = False
        self.head_bytes = 0
        self._limits = limits
        self._requests = requests
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    def take_back_head(self) -> bytes:
        """Return the head of an upgrade request whose body is still to be read, else nothing.

        The parser ends such a request at its headers; clients that offer HTTP/2 on every request
        (Java's) send a body all the same.
        """
        if not self._headers.keys() & {"content-length", "transfer-encoding"}:
            return b""
        method = self._requests.pop().method.encode("ascii")
        kept = {name: self._headers[name] for name in self._headers if name not in _UPGRADE}
        lines = "".join(f"{name}: {value}\r\n" for name, value in kept.items())
        return b"%b %b HTTP/1.1\r\n%b\r\n" % (method, self._url, lines.encode("latin-1"))

    def on_message_begin(self) -> None:
        self.in_head = True
        self.head_bytes = 0
        self._url = b""
        self._headers = {}
        self._body = bytearray()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + 4)
        if self.in_body:
            return  # trailers carry nothing that is used here
        if len(self._headers) >= self._limits.headers:
            raise HttpRefusal(431, f"more than {self._limits.headers} headers")
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        held = self._headers.get(key)
        self._headers[key] = text if held is None else f"{held}, {text}"

    def on_headers_complete(self) -> None:
        self.in_head, self.in_body = False, True
        if self.parser.get_http_version() == "1.1" and "host" not in self._headers:
            raise HttpRefusal(400, "a Host header is required")
        length = self._headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._limits.body_bytes:
            raise self._body_too_large()
        self.expects_continue = self._headers.get("expect", "").lower() == "100-continue"

    def on_body(self, data: bytes) -> None:
        self.expects_continue = False  # it did not wait
        self._body += data
        if len(self._body) > self._limits.body_bytes:
            raise self._body_too_large()

    def on_message_complete(self) -> None:
        self.in_body = self.expects_continue = False
        path, query = _split(self._url)
        self._requests.append(
            Request(
                method=self.parser.get_method().decode("ascii"),
                path=path,
                query=query,
                headers=self._headers,
                body=bytes(self._body),
                keep_alive=self.parser.should_keep_alive(),
                is_http_1_0=self.parser.get_http_version() == "1.0",
            )
        )

    def _count(self, length: int) -> None:
        self.head_bytes += length
        if self.head_bytes > self._limits.head_bytes:
            raise _head_too_large(self._limits)

    def _body_too_large(self) -> HttpRefusal:
        return HttpRefusal(413, f"the body is larger than {self._limits.body_bytes} bytes")


def _head_too_large(limits: HttpLimits) -> HttpRefusal:
    return HttpRefusal(431, f"request line and headers are larger than {limits.head_bytes} bytes")


def _split(url: bytes) -> tuple[str, str]:
    try:
        parts = httptools.parse_url(url)
    except httptools.HttpParserInvalidURLError:
        raise HttpRefusal(400, "the request target is not a URL") from None
    path = parts.path or b"/"
    return unquote(path.decode("latin-1")), (parts.query or b"").decode("latin-1")
