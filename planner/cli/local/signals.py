"""What tells a foreground deployment to end: the first time politely, the second time at once."""

import asyncio
import signal

from planner.cli.exits import Exit


class Signals:
    """SIGINT, SIGTERM and SIGHUP, taken from here on."""

    def __init__(self) -> None:
        self._first = asyncio.Event()
        self._second = asyncio.Event()
        self.exit_code = Exit.DONE
        """INTERRUPTED after a SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on, number)

    @property
    def came(self) -> bool:
        """Whether there was one."""
        return self._first.is_set()

    async def come_before(self, work: "asyncio.Task[object]") -> bool:
        """Return True when a signal comes first, False once *work* is done."""
        return await _first(self._first, work)

    async def come_again_before(self, work: "asyncio.Task[object]") -> bool:
        """Return True when a second signal comes first, False once *work* is done."""
        return await _first(self._second, work)

    def _on(self, number: int) -> None:
        if self._first.is_set():
            self._second.set()
        elif number == signal.SIGINT:
            self.exit_code = Exit.INTERRUPTED
        self._first.set()


async def _first(event: asyncio.Event, work: "asyncio.Task[object]") -> bool:
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait((work, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    return not work.done()
