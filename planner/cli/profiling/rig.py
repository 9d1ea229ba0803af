"""The `Rig` of real engines: each behind a real frontend, measured over HTTP."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from planner.cli.local.engines import VLLM, visible_gpus
from planner.cli.local.processes import launched
from planner.cli.profiling.deployment import deployed
from planner.cli.profiling.engines import EngineKind
from planner.cli.profiling.told import asking
from planner.core.profile import Parallelism
from planner.core.role import Role
from planner.errors import ConfigError
from profiler.live import AiperfEngine, LiveEngine, LivePair
from profiler.loadgen import Client, Prompts
from profiler.loadgen.aiperf import Aiperf
from profiler.ports import RunningEngine, RunningPair

_SEED = 20_240_601


class LocalRig:
    """Starts engines of one *kind* on this machine.

    *gpu* names what they run on; one that is not ready after *start_seconds* counts as broken,
    and so does a sample that takes over *sample_seconds*. The load comes from the program
    *aiperf* where one is given.
    """

    def __init__(
        self,
        kind: EngineKind,
        *,
        gpu: str,
        has_gpu: bool,
        start_seconds: float,
        sample_seconds: float,
        aiperf: Path | None = None,
    ) -> None:
        self._kind = kind
        self._gpu = gpu
        self._has_gpu = has_gpu
        self._start_seconds = start_seconds
        self._sample_seconds = sample_seconds
        self._aiperf = aiperf
        self.differences: list[str] = []
        """Where aiperf's own figures are over 5 % from the engine's."""

    @property
    def identity(self) -> dict[str, str]:
        """What measurements depend on beside the parallelism."""
        generator = "builtin" if self._aiperf is None else "aiperf"
        return {**self._kind.identity(), "gpu": self._gpu, "load_generator": generator}

    @asynccontextmanager
    async def engine(self, parallelism: Parallelism) -> AsyncIterator[RunningEngine]:
        """Start an engine; see `profiler.ports.Rig`."""
        async with (
            deployed(self._kind, parallelism, timeout=self._start_seconds) as deployment,
            asking(deployment) as told,
            Client(deployment.spec.frontend_url, timeout=self._sample_seconds) as client,
        ):
            facts = await told.facts(deployment, version=self._kind.version, has_gpu=self._has_gpu)
            if self._aiperf is None:
                yield LiveEngine(
                    facts,
                    client=client,
                    prompts=self._prompts(),
                    read=told.read,
                    patience=self._sample_seconds,
                )
            else:
                yield AiperfEngine(
                    facts,
                    aiperf=self._command(deployment.spec.frontend_url, self._aiperf),
                    read=told.read,
                    differs=self.differences.append,
                )

    @asynccontextmanager
    async def pair(self, parallelism: Parallelism) -> AsyncIterator[RunningPair]:
        """Start two engines; see `profiler.ports.PairRig`."""
        async with (
            deployed(
                self._kind,
                parallelism,
                roles=(Role.PREFILL, Role.DECODE),
                gpus=visible_gpus(VLLM) if self._has_gpu else (),
                timeout=self._start_seconds,
            ) as deployment,
            asking(deployment, Role.DECODE) as told,
            Client(deployment.spec.frontend_url, timeout=self._sample_seconds) as client,
        ):
            yield LivePair(client=client, prompts=self._prompts(), read=told.received)

    def _prompts(self) -> Prompts:
        return Prompts(self._kind.model_name, seed=_SEED)

    def _command(self, url: str, program: Path) -> Aiperf:
        return Aiperf(
            command=tuple(launched([str(program)], parent=os.getpid())),
            url=url,
            model=self._kind.model_name,
            tokenizer=self._kind.model,
            request_seconds=self._sample_seconds,
        )


def find_aiperf(given: Path | None) -> Path:
    """Return the program *given*, else the one on the PATH. Raises ConfigError for none."""
    found = shutil.which("aiperf" if given is None else str(given))
    if found is None:
        what = "aiperf is not on the PATH" if given is None else f"--aiperf {given}: no program"
        raise ConfigError(
            what, hint="pip install aiperf, in an environment of its own; then --aiperf PROGRAM"
        )
    return Path(found)
