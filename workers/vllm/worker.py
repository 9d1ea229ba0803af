"""One worker process with vLLM in it: checked, prepared, and then like any other worker."""

import asyncio
import logging
import os
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from planner.core.role import Role
from runtime.instance import new_instance_id
from runtime.process import die_with_parent, run_process
from workers.card import read_card
from workers.metrics import WorkerMetrics
from workers.parts import Equipment
from workers.process import Worker
from workers.stages import Stages
from workers.vllm import environment, progress
from workers.vllm.arguments import Settings, engine_flags, parse, value_of
from workers.vllm.check import Machine, check, read_number
from workers.vllm.engine import VllmEngine
from workers.vllm.environment import Device
from workers.vllm.loading import VllmLoading
from workers.vllm.prefix import PrefixIndex
from workers.vllm.totals import Totals

log = logging.getLogger(__name__)

_TOKEN_BUDGET = 2048
"""Until the engine says what it is."""


def run(arguments: list[str]) -> int:
    """Return the exit code. Raises ConfigError and InvalidRequest before anything is started."""
    settings = parse(arguments)
    device = check(settings, Machine.here())
    process = VllmProcess(settings, device)
    if settings.check_only:
        sys.stdout.write(f"{device}: can start\n")
        return 0
    die_with_parent()
    logging.basicConfig(
        level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    log.info("engine %s parallelism=%s", device, settings.parallelism)
    environment.prepare(settings.options, device, ranks=settings.parallelism.gpus)
    return run_process(process.run)


class VllmProcess:
    """Puts the parts together inside the event loop."""

    def __init__(self, settings: Settings, device: Device) -> None:
        self._settings = settings
        self._device = device
        options = settings.options
        longest = read_number(value_of(settings.flags, "--max-model-len"))
        self._card = read_card(options.model, name=options.model_name, context_length=longest)
        self._instance_id = options.instance_id or new_instance_id()
        self._stages = Stages()
        self._metrics = WorkerMetrics(
            model=options.model_name,
            namespace=options.namespace,
            component=options.role.value,
            instance=f"{self._instance_id:x}",
        )

    async def run(self, stop: asyncio.Event) -> int:
        """Serve until *stop* is set or the engine fails; returns the exit code."""
        async with AsyncExitStack() as stack:
            index = PrefixIndex()
            flags = engine_flags(self._settings, self._device, events=self._listen(index, stack))
            totals = Totals(on_step=self._metrics.observe_step, clock=time.monotonic)
            notes = Path(stack.enter_context(TemporaryDirectory(prefix="planner-vllm-"))) / "notes"
            notes.touch()
            os.environ[progress.VARIABLE] = str(notes)
            loading = VllmLoading(
                flags,
                totals,
                imported=lambda: self._completed("imports"),
                made=lambda: self._loaded(notes),
            )
            engine = VllmEngine(
                loading,
                totals,
                index=index,
                transfer_timeout=self._settings.options.remote_prefill_timeout,
            )
            equipment = Equipment(
                engine=engine,
                card=self._card,
                gpus=self._settings.gpus,
                token_budget=_TOKEN_BUDGET,
                capacity=lambda: engine.capacity,
                ledger=index.ledger if self._tells_blocks else None,
            )
            worker = Worker(
                self._settings.options,
                equipment,
                metrics=self._metrics,
                instance_id=self._instance_id,
                stages=self._stages,
            )
            return await worker.run(stop)

    def _listen(self, index: PrefixIndex, stack: AsyncExitStack) -> str | None:
        """Return where the engine tells its KV blocks, if anybody is to know them."""
        if not self._tells_blocks:
            return None
        from workers.vllm.kv_events import KvEvents

        events = KvEvents(index)
        stack.push_async_callback(events.close)
        return events.endpoint

    @property
    def _tells_blocks(self) -> bool:
        """Whether who sends prefills away or requests here can go by what is cached.

        Prefill workers take what comes by the queue. With several engines in one worker nobody
        knows which of them a prompt will meet.
        """
        is_asked = self._settings.options.role is not Role.PREFILL
        return is_asked and self._settings.data_parallel == 1

    def _loaded(self, notes: Path) -> None:
        for stage, at in progress.read_progress(notes).items():
            self._completed(stage, at)

    def _completed(self, stage: str, at: float | None = None) -> None:
        seconds = self._stages.complete(stage, at)
        self._metrics.set_start(stage, seconds)
        name = self._settings.options.name
        log.info("worker started name=%s stage=%s seconds=%.2f", name, stage, seconds)
