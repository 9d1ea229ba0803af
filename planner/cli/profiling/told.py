"""What the engine that is measured tells: its limits in discovery, its counts on its page."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from planner.cli.profiling.deployment import Deployed
from planner.cli.profiling.engines import NAMESPACE
from planner.core.observation import StepSums
from planner.core.role import Role
from planner.sources import load
from planner.sources.exposition import Page, parse
from planner.sources.pages import PageReader
from profiler.live import EngineReading, Received
from profiler.ports import EngineFacts, MeasuringFailed
from runtime.discovery.open import open_store
from runtime.errors import RuntimeFault
from runtime.instance import InstanceRecord, decode_record
from runtime.models import ModelEntry, decode_entry, models_prefix
from runtime.ports import Store

_TIMEOUT = 5.0
_MEBIBYTE = 2**20
_RUNNING = f"{load.PREFIX}requests_running"
_WAITING = f"{load.PREFIX}requests_waiting"
_SECONDS = f"{load.PREFIX}step_seconds_sum"
_RECEIVED = {
    "transfers": f"{load.PREFIX}kv_transfers_received_total",
    "failed": f"{load.PREFIX}kv_transfers_failed_total",
    "tokens": f"{load.PREFIX}kv_received_tokens_total",
    "bytes": f"{load.PREFIX}kv_received_bytes_total",
    "seconds": f"{load.PREFIX}kv_receive_seconds_total",
}
_SUMS = {
    "steps": f"{load.PREFIX}step_seconds_count",
    "prefill_steps": f"{load.PREFIX}prefill_steps_total",
    "decoded": f"{load.PREFIX}decoded_tokens_total",
    "kv_tokens": f"{load.PREFIX}kv_tokens_read_total",
    "prefilled": f"{load.PREFIX}prefilled_tokens_total",
    "prefilled_squared": f"{load.PREFIX}prefilled_squared_tokens_total",
}


class Told:
    """Asks the one engine of *role* in a deployment."""

    def __init__(self, store: Store, pages: PageReader, *, role: Role) -> None:
        self._store = store
        self._pages = pages
        self._role = role
        self._url: str | None = None

    async def read(self) -> EngineReading:
        """Return the engine now. Raises MeasuringFailed when it does not answer."""
        page = await self._page()
        return EngineReading(
            running=_count(page, _RUNNING),
            waiting=_count(page, _WAITING),
            in_flight=_count(page, load.IN_FLIGHT),
            sums=_sums(page),
        )

    async def received(self) -> Received:
        """Return what came to the engine by now. Raises MeasuringFailed when it does not tell."""
        page = await self._page()
        counts = {name: page.total(series) for name, series in _RECEIVED.items()}
        known = {name: count for name, count in counts.items() if count is not None}
        if len(known) < len(_RECEIVED):
            raise MeasuringFailed("the engine does not tell how its KV comes")
        return Received(**known)

    async def _page(self) -> Page:
        if self._url is None:
            self._url = str((await self._record()).metadata["metrics_url"])
        texts = await self._pages.read([self._url])
        if self._url not in texts:
            self._url = None  # it may have been started again, elsewhere
            raise MeasuringFailed("the engine does not answer: it ended, or hangs")
        return parse(texts[self._url], load.PREFIX)

    async def facts(self, deployment: Deployed, *, version: str, has_gpu: bool) -> EngineFacts:
        """Return what the engine is. Raises MeasuringFailed without its capacity and limits."""
        record, entry = await self._record(), await self._entry()
        budget = record.metadata.get("max_num_batched_tokens")
        if entry.total_kv_blocks is None or entry.max_num_seqs is None or budget is None:
            raise MeasuringFailed("the engine does not tell its KV capacity and limits")
        return EngineFacts(
            start_up_seconds=deployment.start_up_seconds,
            max_num_seqs=entry.max_num_seqs,
            max_num_batched_tokens=int(budget),
            block_size=entry.kv_block_size,
            kv_capacity_tokens=entry.total_kv_blocks * entry.kv_block_size,
            context_length=entry.context_length,
            engine_version=version,
            memory_bytes=await gpu_memory_bytes() if has_gpu else None,
        )

    async def _record(self) -> InstanceRecord:
        return decode_record(await self._only(f"instances/{NAMESPACE}/{self._role}/"))

    async def _entry(self) -> ModelEntry:
        return decode_entry(await self._only(models_prefix(NAMESPACE)))

    async def _only(self, prefix: str) -> bytes:
        try:
            watch = await self._store.watch(prefix)
        except RuntimeFault as error:
            raise MeasuringFailed(f"discovery: {error}") from error
        try:
            found = list(watch.entries.values())
        finally:
            await watch.close()
        if len(found) != 1:
            raise MeasuringFailed("the engine is gone" if not found else "there are two engines")
        return found[0]


@asynccontextmanager
async def asking(deployment: Deployed, role: Role = Role.AGGREGATED) -> AsyncIterator[Told]:
    """Yield what asks the engine of *role*. Raises MeasuringFailed without discovery."""
    try:
        store = await open_store(deployment.spec.store_url)
    except RuntimeFault as error:
        raise MeasuringFailed(f"discovery: {error}") from error
    pages = PageReader(timeout=_TIMEOUT)
    try:
        yield Told(store, pages, role=role)
    finally:
        await pages.close()
        await store.close()


async def gpu_memory_bytes() -> int | None:
    """Return the memory in use of the fullest GPU here; None where nvidia-smi does not say."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    process = await asyncio.create_subprocess_exec(
        program, "--query-gpu=memory.used", "--format=csv,noheader,nounits",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    out, _ = await process.communicate()
    used = [int(line) for line in out.decode().split() if line.isdecimal()]
    return max(used) * _MEBIBYTE if used else None


def _sums(page: Page) -> StepSums | None:
    """Return the engine's sums over its steps; None when it does not count them all."""
    seconds = page.total(_SECONDS)
    counts = {name: page.total(series) for name, series in _SUMS.items()}
    known = {name: round(count) for name, count in counts.items() if count is not None}
    if seconds is None or len(known) < len(_SUMS):
        return None
    return StepSums(seconds=seconds, **known)


def _count(page: Page, name: str) -> int:
    value = page.total(name)
    if value is None:
        raise MeasuringFailed(f"the engine's page has no {name}")
    return round(value)
