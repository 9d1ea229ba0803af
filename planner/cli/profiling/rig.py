"""The `Rig` of real engines: each behind a real frontend, measured over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from planner.cli.profiling.deployment import deployed
from planner.cli.profiling.engines import EngineKind
from planner.cli.profiling.told import asking
from planner.core.profile import Parallelism
from profiler.live import LiveEngine
from profiler.loadgen import Client, Prompts
from profiler.ports import RunningEngine

_SEED = 20_240_601


class LocalRig:
    """Starts engines of one *kind* on this machine.

    *gpu* names what they run on; one that is not ready after *start_seconds* counts as broken, and
    so does a sample that takes over *sample_seconds*.
    """

    def __init__(
        self,
        kind: EngineKind,
        *,
        gpu: str,
        has_gpu: bool,
        start_seconds: float,
        sample_seconds: float,
    ) -> None:
        self._kind = kind
        self._gpu = gpu
        self._has_gpu = has_gpu
        self._start_seconds = start_seconds
        self._sample_seconds = sample_seconds

    @property
    def identity(self) -> dict[str, str]:
        """What measurements depend on beside the parallelism."""
        return {**self._kind.identity(), "gpu": self._gpu}

    @asynccontextmanager
    async def engine(self, parallelism: Parallelism) -> AsyncIterator[RunningEngine]:
        """Start an engine; see `profiler.ports.Rig`."""
        async with (
            deployed(self._kind, parallelism, timeout=self._start_seconds) as deployment,
            asking(deployment) as told,
            Client(deployment.spec.frontend_url, timeout=self._sample_seconds) as client,
        ):
            facts = await told.facts(deployment, version=self._kind.version, has_gpu=self._has_gpu)
            yield LiveEngine(
                facts,
                client=client,
                prompts=Prompts(self._kind.model_name, seed=_SEED),
                read=told.read,
                patience=self._sample_seconds,
            )
