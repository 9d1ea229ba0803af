"""One prompt whose KV goes from one engine to another: how long it is on its way."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from profiler.loadgen import Client, NoAnswer, Prompts
from profiler.ports import MeasuringFailed, TransferSample

_OSL = 2
_POLL_SECONDS = 0.02
_COUNTED_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What has come to an engine from others since its start.

    Each of its GPUs may count its part of a prompt as a transfer: *seconds* are those of all.
    """

    transfers: float
    failed: float
    tokens: float
    bytes: float
    seconds: float


ReadReceived = Callable[[], Awaitable[Received]]
"""Reads the receiver now. Raises MeasuringFailed when it does not answer or tell."""


class LivePair:
    """Sends prompts through *client* to two engines, of which *read* reads the receiver."""

    def __init__(self, *, client: Client, prompts: Prompts, read: ReadReceived) -> None:
        self._client = client
        self._prompts = prompts
        self._read = read

    async def transfer(self, isl: int) -> TransferSample:
        """Return the way of one fresh prompt of *isl* tokens. Raises MeasuringFailed."""
        before = await self._read()
        try:
            await self._client.complete(self._prompts.fresh(isl, osl=_OSL))
        except NoAnswer as error:
            raise MeasuringFailed(f"a prompt of {isl} tokens: {error}") from error
        after = await self._counted(before)
        transfers = after.transfers - before.transfers
        return TransferSample(
            tokens=round(after.tokens - before.tokens),
            bytes=round(after.bytes - before.bytes),
            seconds=(after.seconds - before.seconds) / transfers,
        )

    async def _counted(self, before: Received) -> Received:
        """Return the receiver once it has counted the prompt."""
        now = asyncio.get_running_loop().time
        deadline = now() + _COUNTED_SECONDS
        while (after := await self._read()).transfers == before.transfers:
            if after.failed > before.failed:
                raise MeasuringFailed("the KV did not arrive")
            if now() > deadline:
                raise MeasuringFailed("the KV was computed where it was used")
            await asyncio.sleep(_POLL_SECONDS)
        return after
