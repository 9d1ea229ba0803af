"""One sweep from the start of the first engine to the profile."""

import asyncio
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from planner.cli.live.stopping import unless
from planner.cli.output import notice
from planner.cli.profiling.found import Found
from planner.cli.profiling.planned import summary
from planner.cli.profiling.progress import Progress
from planner.cli.profiling.rig import LocalRig
from planner.cli.profiling.setting import Setting
from planner.cli.profiling.wanted import Wanted
from profiler.outcome import Heading, outcome
from profiler.store import FileStore
from profiler.sweep.result import Swept
from profiler.sweep.run import Sweep


class Interrupted(Exception):
    """The sweep was stopped; what was measured is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """Where points are kept from run to run, and which of them are measured again."""

    folder: Path
    fresh: bool
    retry_failed: bool


async def measure(
    setting: Setting, rig: LocalRig, wanted: Wanted, *, keeping: Keeping, stop: asyncio.Event
) -> Found:
    """Return what the engines of *setting* came to.

    Raises Interrupted when *stop* is set meanwhile, ProfileError when nothing could be measured.
    """
    notice(summary(setting))
    with Progress(points=setting.plan.points) as progress:
        sweep = Sweep(
            rig=rig,
            store=FileStore(keeping.folder, fresh=keeping.fresh),
            target=wanted.target,
            report=progress.hear,
            clock=time.monotonic,
            budget_seconds=wanted.budget_seconds,
            retry_failed=keeping.retry_failed,
            pairs=None if setting.plan.pair is None else rig,
        )
        swept = await unless(stop, sweep.run(setting.plan.engines))
    if swept is None:
        notice(f"interrupted: {progress.measured} points were measured and are kept")
        raise Interrupted
    return _found(swept, setting, wanted)


def _found(swept: Swept, setting: Setting, wanted: Wanted) -> Found:
    model, load = setting.kind.model_name, wanted.target.workload
    told = (
        (f"The engines were simulated, timed by the profile {setting.simulated.name}.",)
        if setting.simulated
        else ()
    )
    heading = Heading(
        name=wanted.results.name or f"{model}-{setting.gpu}".lower(),
        model=model,
        gpu=setting.gpu,
        source=f"planner {version('planner')} profile",
        licence="none stated",
        notes=(
            "Batches and KV tokens are what the engine held by its own count of steps.",
            *told,
            *_memory(swept),
        ),
    )
    came = outcome(swept, heading, wanted.target, assumed=setting.assumed)
    return Found(
        profile=came.profile,
        choice=came.choice,
        failures=came.failures,
        is_partial=came.is_partial,
        engine="simulated" if setting.simulated else "vllm",
        model=str(setting.kind.model) if setting.is_given_model else None,
        rate_given=load.rate_rps > 0,
    )


def _memory(swept: Swept) -> list[str]:
    """Return a sentence for the memory in use at each parallelism that told it."""
    return [
        f"Memory in use of one GPU at {engine.parallelism}: "
        f"{engine.facts.memory_bytes / 1e9:.1f} GB."
        for engine in swept.engines
        if engine.facts is not None and engine.facts.memory_bytes is not None
    ]
