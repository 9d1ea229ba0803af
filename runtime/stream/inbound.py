"""The client's end of a response stream."""

from typing import Protocol

from runtime.errors import RuntimeFault


class Sink(Protocol):
    """Takes a response as it arrives; called from the connection's own callback, so never blocks.

    Both may be called before `Client.open` has returned. `on_end` is called exactly once for
    every call that `open` returned, and never when `open` raised.
    """

    def on_data(self, body: bytes) -> None:
        """Take one encoded item."""
        ...

    def on_end(self, fault: RuntimeFault | None) -> None:
        """Take the end: None after a complete response, else why it is not."""
        ...
