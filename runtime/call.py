"""A request that an instance has accepted, and the time in which all of it has to happen."""

import asyncio

from runtime.errors import DeadlineExceeded
from runtime.stream.inbound import InboundStream


class Call:
    """A request that an instance has accepted; its response goes to the sink."""

    __slots__ = ("_stream", "cached_tokens", "instance_id")

    def __init__(
        self, instance_id: int, stream: InboundStream, *, cached_tokens: int | None = None
    ) -> None:
        self.instance_id = instance_id
        self.cached_tokens = cached_tokens
        """Prompt tokens that the routing expected to be cached there; None if it did not look."""
        self._stream = stream

    @property
    def is_over(self) -> bool:
        """Whether the sink has been told the end."""
        return self._stream.is_over

    def stop(self) -> None:
        """Ask for a graceful end: the sink still receives what comes, and the end."""
        self._stream.stop()

    def kill(self) -> None:
        """Drop it now; calls the sink's on_end with Cancelled before returning."""
        self._stream.kill()


class Deadline:
    """The moment by which a request must have ended, or never."""

    __slots__ = ("_at", "_clock")

    def __init__(self, timeout: float | None) -> None:
        self._clock = asyncio.get_running_loop().time
        self._at = None if timeout is None else self._clock() + timeout

    def remaining(self) -> float | None:
        """Return the seconds left, or None. Raises DeadlineExceeded when there are none."""
        if self._at is None:
            return None
        left = self._at - self._clock()
        if left <= 0:
            raise DeadlineExceeded("the request's time was up before an instance accepted it")
        return left
