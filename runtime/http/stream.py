"""A response body that is written from wherever its pieces arise, with no task in between."""

import asyncio


class Stream:
    """Writes chunks synchronously; the status line goes out with the first of them."""

    __slots__ = ("_chunked", "_head", "_transport", "is_open")

    def __init__(self, transport: asyncio.Transport, *, head: bytes, chunked: bool) -> None:
        self.is_open = not transport.is_closing()
        self._transport = transport
        self._head = head
        self._chunked = chunked

    @property
    def has_begun(self) -> bool:
        """Whether something was sent, so that the status cannot change any more."""
        return not self._head

    def write(self, data: bytes) -> None:
        """Send *data*; nothing happens once the client is gone."""
        if not data or not self.is_open:
            return
        framed = b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data
        if self._head:
            framed = self._head + framed
            self._head = b""
        self._transport.write(framed)

    def finish(self) -> None:
        """End the body; later writes do nothing."""
        if self.is_open:
            self.is_open = False
            self._transport.write(self._head + (b"0\r\n\r\n" if self._chunked else b""))
            self._head = b""

    def cut(self) -> None:
        """Write nothing more: the client is gone."""
        self.is_open = False
