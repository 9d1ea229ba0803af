"""One timer per connection that knows what is being waited for."""

import asyncio
from collections.abc import Callable


class Watchdog:
    """Calls *expired* with the purpose it was armed for."""

    def __init__(self, expired: Callable[[str], None]) -> None:
        self._expired = expired
        self._purpose = ""
        self._timer: asyncio.TimerHandle | None = None

    def arm(self, purpose: str, seconds: float) -> None:
        """Expire in *seconds* unless disarmed; for the same purpose again, the first time counts.

        So a peer that sends its headers byte by byte gains no time.
        """
        if self._timer is not None and self._purpose == purpose:
            return
        self.disarm()
        self._purpose = purpose
        self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)

    def disarm(self) -> None:
        """Wait for nothing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        self._expired(self._purpose)
