"""What several worker tests need: waiting, and whole workers in this process.

Discovery and messages are in memory, response streams are real.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import aiohttp
import pytest

import workers.simulated
from planner.core.engine import DecodeLaw, EngineLimits, EngineModel, PrefillLaw
from planner.core.role import Role
from runtime.config import RuntimeConfig
from runtime.instance import new_instance_id
from runtime.models import decode_entry, models_prefix
from runtime.runtime import DistributedRuntime
from workers.card import read_card
from workers.disaggregation.decision import Limits as RemoteLimits
from workers.metrics import WorkerMetrics
from workers.options import WorkerOptions
from workers.parts import Equipment
from workers.process import Worker
from workers.simulated.engine import Pace, SimulatedEngine
from workers.simulated.follower import Follower
from workers.simulated.scheduler import Limits

Until = Callable[[Callable[[], bool]], Awaitable[None]]


@pytest.fixture
def until() -> Until:
    """Return once a condition holds; a test that waits for half a minute fails."""

    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110 - conditions of all kinds
                await asyncio.sleep(0.001)

    return wait


MODEL = Path(workers.simulated.__file__).parent / "model"
FOLLOWER = Follower.of_model(MODEL, eos=2)
LAW = EngineModel(
    prefill=PrefillLaw(base_seconds=0.002, token_seconds=1e-6, token_squared_seconds=0.0),
    decode=DecodeLaw(base_seconds=0.001, request_seconds=0.0, kv_token_seconds=0.0),
    limits=EngineLimits(
        max_num_batched_tokens=8192,
        max_num_seqs=256,
        block_size=16,
        kv_capacity_tokens=160_000,
        kv_bytes_per_token=1000,
        transfer_bytes_per_second=1e9,
    ),
)
_numbers = count()


class Running:
    """One worker and what a test looks at."""

    def __init__(self, options: WorkerOptions, **pace: float) -> None:
        instance_id = new_instance_id()
        self.engine = SimulatedEngine(
            LAW, Limits(kv_blocks=10_000), follower=FOLLOWER, pace=Pace(**pace)
        )
        self.metrics = WorkerMetrics(
            model=options.model_name,
            namespace=options.namespace,
            component=options.role,
            instance=f"{instance_id:x}",
        )
        self.instance_id = instance_id
        card = read_card(MODEL, name=options.model_name)
        equipment = Equipment(
            engine=self.engine,
            card=card,
            gpus=1,
            token_budget=8192,
            ledger=self.engine.ledger,
        )
        self.worker = Worker(options, equipment, metrics=self.metrics, instance_id=instance_id)
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(self.worker.run(self.stop))

    async def page(self, name: str) -> tuple[int, str]:
        url = self.worker._metrics_url.removesuffix("metrics") + name
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status, await response.text()

    def value(self, name: str, **labels: str) -> float | None:
        for family in self.metrics.registry.collect():
            for sample in family.samples:
                if (
                    sample.name == f"planner_worker_{name}"
                    and labels.items() <= sample.labels.items()
                ):
                    return sample.value
        return None


class Deployment:
    def __init__(self, name: str, runtime: DistributedRuntime) -> None:
        self.runtime = runtime
        self.name = name
        self.running: list[Running] = []

    def options(self, role: Role, **changes) -> WorkerOptions:
        given = {
            "name": f"{role}-1",
            "store_url": f"memory:{self.name}",
            "plane_url": f"memory:{self.name}",
            "model": MODEL,
            "model_name": "m",
            "limits": RemoteLimits(max_local_prefill_length=128),
            "drain_timeout": 5.0,
            "prefill_ack_wait": 0.5,
        }
        return WorkerOptions(role=role, **(given | changes))

    def make(self, options: WorkerOptions, **pace: float) -> Running:
        """Start one that ends by itself."""
        return Running(options, **pace)

    async def start(self, role: Role, *, pace: dict | None = None, **changes) -> Running:
        one = Running(self.options(role, **changes), **(pace or {}))
        self.running.append(one)
        async with asyncio.timeout(5):
            while one.worker._state == "starting" and not one.task.done():  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return one

    @asynccontextmanager
    async def client(self, component: str):
        client = await self.runtime.endpoint(component, "generate").client()
        yield client
        await client.close()

    async def models(self) -> list[str]:
        watch = await self.runtime.store.watch(models_prefix("planner"))
        names = [decode_entry(value).name for value in watch.entries.values()]
        await watch.close()
        return names


@pytest.fixture
async def deployment():
    name = f"test-{next(_numbers)}"
    config = RuntimeConfig(store_url=f"memory:{name}", plane_url=f"memory:{name}")
    async with await DistributedRuntime.connect(config) as runtime:
        made = Deployment(name, runtime)
        yield made
        for one in made.running:
            one.stop.set()
        for one in made.running:
            assert await one.task in (0, 1)
            stats = one.engine.stats()
            assert (stats.kv_blocks_used, stats.running, stats.waiting) == (0, 0, 0)
            assert one.value("in_flight_requests") == 0
