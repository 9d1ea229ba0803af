"""The worker's end of one response stream."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from runtime.errors import RuntimeFault
from runtime.frames import FrameKind, encode_fault

if TYPE_CHECKING:
    from runtime.stream.sender import OutboundConnection


class OutboundStream:
    """One response on its way to the client: accept or refuse, send, finish.

    Nothing happens once the client is gone or has killed it; *on_kill* was called then.
    """

    __slots__ = ("_connection", "id", "is_over", "on_kill", "on_stop")

    def __init__(
        self,
        stream_id: int,
        connection: "OutboundConnection",
        *,
        on_stop: Callable[[], None],
        on_kill: Callable[[], None],
    ) -> None:
        self.id = stream_id
        self.on_stop = on_stop
        self.on_kill = on_kill
        self.is_over = False
        self._connection = connection

    def accept(self) -> None:
        """Tell the client that the request is being worked on."""
        self._send(FrameKind.PROLOGUE)

    def refuse(self, fault: RuntimeFault) -> None:
        """Tell the client that the request is not taken, and be over."""
        self._send(FrameKind.PROLOGUE, header=encode_fault(fault))
        self._leave()

    def send(self, body: bytes) -> None:
        """Send one encoded item; look at `is_congested` before the next.

        Raises RuntimeFault for an item that is beyond the limit.
        """
        if len(body) > self._connection.limits.body:
            raise RuntimeFault(
                f"an item of {len(body)} bytes is beyond the {self._connection.limits.body}"
            )
        self._send(FrameKind.DATA, body=body)

    @property
    def is_connected(self) -> bool:
        """Whether the client can be reached; after a kill: whether that was the client's word."""
        return self._connection.is_usable

    @property
    def is_congested(self) -> bool:
        """Whether enough is unsent to await `drain` before the next item."""
        return self._connection.is_congested

    async def drain(self) -> None:
        """Return once the client keeps up again, or is gone."""
        await self._connection.drain()

    def finish(self, fault: RuntimeFault | None = None) -> None:
        """Send the end, with the *fault* that cut the response short, and be over."""
        self._send(FrameKind.END, header=encode_fault(fault))
        self._leave()

    def killed(self) -> None:
        """Be over because nobody waits any more."""
        if not self.is_over:
            self.is_over = True
            self.on_kill()

    def _send(self, kind: FrameKind, *, header: bytes = b"", body: bytes = b"") -> None:
        if not self.is_over:
            self._connection.write(kind, self.id, header, body)

    def _leave(self) -> None:
        self.is_over = True
        self._connection.forget(self)
