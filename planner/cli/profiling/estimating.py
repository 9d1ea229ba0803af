"""A profile without GPUs: the same sweep and fit as ever, over engines that are estimated."""

import time
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from planner.cli.profiling.found import Found
from planner.cli.profiling.wanted import Wanted
from planner.core.profile import Kind, Parallelism
from planner.errors import ConfigError
from profiler.effort import Effort
from profiler.exchange.estimate import EstimatedRig
from profiler.fit.engines import Assumed
from profiler.outcome import Heading, outcome
from profiler.plan.sweep_plan import PlannedEngine
from profiler.store import MemoryStore
from profiler.sweep.run import Sweep

_MAX_GPUS = 8
# Nothing varies from one estimate to the next, and more points cost nothing.
_EFFORT = Effort(
    prefill_points=10, decode_points=20, first_passes=0, least_repeats=2, most_repeats=2
)


async def estimate(given: Mapping[str, Any], wanted: Wanted) -> Found:
    """Return the profile of estimates that the flags *given* ask for. Raises ConfigError."""
    if given["model"] is None or given["system"] is None:
        raise ConfigError(
            "--estimate needs a model and a system",
            hint="planner profile --estimate --model Qwen/Qwen3-32B --system h200_sxm",
        )
    model, system = str(given["model"]), given["system"]
    rig = EstimatedRig(model, system=system)
    sweep = Sweep(
        rig=rig,
        store=MemoryStore(),
        target=wanted.target,
        report=lambda _: None,
        clock=time.monotonic,
    )
    heading = Heading(
        name=wanted.results.name or f"{model.rpartition('/')[2]}-{system}-estimated".lower(),
        model=model,
        gpu=system.partition("_")[0],
        source=f"aiconfigurator-core {version('aiconfigurator-core')}, tables of {system}",
        licence="Apache-2.0",
        notes=("Estimates, not measurements.",),
    )
    came = outcome(
        await sweep.run([_planned(one) for one in _fitting(rig, wanted)]),
        heading,
        wanted.target,
        assumed=Assumed(kv_bytes_per_token=1),
    )
    # Nothing was started, so nothing is known of starting.
    entries = tuple(replace(entry, start_up=None) for entry in came.profile.engines)
    return Found(
        profile=replace(came.profile, kind=Kind.ESTIMATED, engines=entries),
        choice=came.choice,
        failures=came.failures,
        is_partial=came.is_partial,
        engine="vllm",
        model=model,
        rate_given=wanted.target.workload.rate_rps > 0,
    )


def _fitting(rig: EstimatedRig, wanted: Wanted) -> list[Parallelism]:
    """Return the parallelisms to estimate: those asked for, else the powers of two that fit."""
    if wanted.parallelisms is not None:
        return list(wanted.parallelisms)
    most = wanted.max_gpus or _MAX_GPUS
    load = wanted.target.workload
    powers = [Parallelism(tp=2**n) for n in range(most.bit_length())]
    fitting = [one for one in powers if rig.facts(one).kv_capacity_tokens >= load.isl + load.osl]
    if not fitting:
        raise ConfigError(
            f"no parallelism up to {powers[-1]} holds a request of {load.isl + load.osl:g} tokens",
            hint="--max-gpus N allows more",
        )
    return fitting


def _planned(parallelism: Parallelism) -> PlannedEngine:
    return PlannedEngine(
        parallelism=parallelism, effort=_EFFORT, start_seconds=1.0, points_seconds=1.0
    )
