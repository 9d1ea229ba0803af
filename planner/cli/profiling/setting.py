"""What is measured: the kind of engine, the GPUs under it, and the plan of the sweep."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import planner.profiles
import workers.simulated
from planner.cli.profiling.engines import EngineKind, Simulated, Vllm
from planner.cli.profiling.vllm_settings import vllm_settings
from planner.cli.profiling.wanted import Wanted, parse_size
from planner.core.profile import Profile
from planner.errors import ConfigError
from planner.profiles import bundled_profiles, load_profile
from profiler.effort import Effort
from profiler.fit.engines import ADAPTER_BYTES_PER_SECOND, Assumed
from profiler.plan.duration import Settings
from profiler.plan.gpu import Gpu, find_gpu
from profiler.plan.model import ModelShape, read_model
from profiler.plan.sweep_plan import Limits, SweepPlan, plan_sweep

_BUNDLED_MODEL = Path(workers.simulated.__file__).parent / "model"
_SIMULATED_START_SECONDS = 3.0
_SIMULATED_CONTEXT = 16_384
_AIPERF_SECONDS = 15.0
_CPU = "cpu"
# Of a shape that every parallelism divides.
_HEADS = 1_024
_MOST_STAGES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One kind of engine on one kind of GPU, and the sweep over it."""

    kind: EngineKind
    gpu: str
    has_gpu: bool
    plan: SweepPlan
    assumed: Assumed
    simulated: Profile | None
    """What simulated engines are timed by; None for real ones."""
    is_given_model: bool = True
    """Whether somebody named the model; simulated engines have one of their own."""


def setting(given: Mapping[str, Any], wanted: Wanted) -> Setting:
    """Return what the flags *given* say is to be measured. Raises ConfigError."""
    return _simulated(given, wanted) if given["engine"] == "simulated" else _vllm(given, wanted)


def _simulated(given: Mapping[str, Any], wanted: Wanted) -> Setting:
    if given["engine_arguments"]:
        raise ConfigError("arguments after -- are for vLLM", hint="--engine vllm")
    truth = load_profile(given["truth"])
    model = (given["model"] or _BUNDLED_MODEL).resolve()
    known = [one for one in truth.parallelisms if one.gpus <= (wanted.max_gpus or one.gpus)]
    chosen = wanted.parallelisms or tuple(known)
    for parallelism in chosen:
        truth.at(parallelism)
    gpu = find_gpu(given["gpu"] or truth.gpu, memory_bytes=_memory(given))
    most = max((one.gpus for one in chosen), default=1)
    limits = truth.engine().limits
    plan = plan_sweep(
        _shape(truth, gpu),
        gpu,
        # Two engines may serve together where nobody counts the GPUs that they are simulated on.
        replace(_limits(wanted, wanted.max_gpus or 2 * most), parallelisms=chosen),
        effort=_effort(given),
        target=wanted.target,
        settings=Settings(
            max_num_seqs=limits.max_num_seqs,
            max_num_batched_tokens=limits.max_num_batched_tokens,
            kv_tokens_per_gpu=limits.kv_capacity_tokens // truth.parallelisms[0].gpus,
        ),
    )
    quick = [replace(one, start_seconds=_SIMULATED_START_SECONDS) for one in plan.engines]
    return Setting(
        kind=Simulated(
            model=model,
            model_name=model.name if given["model"] else "simulated",
            truth=_file_of(given["truth"]),
            noise=given["noise"],
        ),
        gpu=gpu.name,
        has_gpu=False,
        plan=replace(plan, engines=tuple(quick)),
        assumed=Assumed(
            kv_bytes_per_token=limits.kv_bytes_per_token,
            transfer_bytes_per_second=limits.transfer_bytes_per_second / truth.parallelisms[0].gpus,
        ),
        simulated=truth,
        is_given_model=given["model"] is not None,
    )


def _shape(truth: Profile, gpu: Gpu) -> ModelShape:
    """Return a shape that estimates times about like *truth*; nothing of it reaches a profile."""
    law, limits = truth.engine().prefill, truth.engine().limits
    parameters = max(1, round(law.token_seconds * gpu.flops / 5))
    attention = round(law.token_squared_seconds * gpu.flops / 5)
    return ModelShape(
        name=truth.model,
        layers=max(_MOST_STAGES, attention // _HEADS),
        hidden=1_024,
        heads=_HEADS,
        kv_heads=_HEADS,
        head_dim=1,
        vocab=1,
        intermediate=1_024,
        experts=0,
        parameters=parameters,
        active_parameters=parameters,
        weight_bytes=1,
        kv_bytes_per_token=limits.kv_bytes_per_token,
        context_length=_SIMULATED_CONTEXT,
    )


def _file_of(profile: str) -> Path:
    """Return the file of a profile, for another process to read."""
    if profile not in bundled_profiles():
        return Path(profile).resolve()
    return Path(str(resources.files(planner.profiles) / f"{profile}.json"))


def _vllm(given: Mapping[str, Any], wanted: Wanted) -> Setting:
    if given["model"] is None:
        raise ConfigError("--engine vllm: which model?", hint="--model DIR, a model's folder")
    model = given["model"].resolve()
    shape = read_model(model)
    names = gpus_here()
    gpu = find_gpu(given["gpu"] or (names[0] if names else _CPU), memory_bytes=_memory(given))
    most = wanted.max_gpus or max(1, len(names))
    plan = plan_sweep(
        shape,
        gpu,
        _limits(wanted, most),
        effort=_effort(given),
        target=wanted.target,
        settings=vllm_settings(given["engine_arguments"], gpu, has_gpu=gpu.name != _CPU),
    )
    return Setting(
        kind=Vllm(model=model, model_name=model.name, arguments=tuple(given["engine_arguments"])),
        gpu=gpu.name,
        has_gpu=bool(names),
        plan=plan,
        assumed=Assumed(
            kv_bytes_per_token=shape.kv_bytes_per_token,
            # Between processes of a machine without adapters its memory moves the KV.
            transfer_bytes_per_second=ADAPTER_BYTES_PER_SECOND if names else gpu.bandwidth,
        ),
        simulated=None,
    )


def gpus_here() -> list[str]:
    """Return the names of this machine's GPUs; empty without nvidia-smi."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    asked = [program, "--query-gpu=name", "--format=csv,noheader"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def _limits(wanted: Wanted, max_gpus: int) -> Limits:
    return Limits(
        max_gpus=max_gpus,
        max_points=wanted.max_points,
        budget_seconds=wanted.budget_seconds,
        parallelisms=wanted.parallelisms,
    )


def _effort(given: Mapping[str, Any]) -> Effort:
    """Return the usual effort; a run of aiperf is a mean already, and mostly its start and end."""
    if given["load_generator"] == "aiperf":
        return Effort(
            first_passes=0, least_repeats=2, most_repeats=2, repeat_seconds=_AIPERF_SECONDS
        )
    return Effort()


def _memory(given: Mapping[str, Any]) -> float | None:
    text = given["gpu_memory"]
    return None if text is None else parse_size(text, what="--gpu-memory")
