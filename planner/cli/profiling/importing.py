"""A profile from points that others measured: Dynamo's npz layout, sweeps of aiperf."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from planner.cli.profiling.found import Found
from planner.cli.profiling.wanted import Wanted
from planner.core.engine import EngineLimits, EngineModel
from planner.core.profile import (
    DecodePoint,
    EngineProfile,
    Kind,
    Parallelism,
    PrefillPoint,
    Profile,
)
from planner.errors import ConfigError
from profiler.choose import choose
from profiler.exchange.aiperf import read_sweep
from profiler.exchange.npz import PREFILL_FOLDER, import_npz
from profiler.fit.curve import decode_curve, prefill_curve
from profiler.fit.engines import ADAPTER_BYTES_PER_SECOND
from profiler.plan.model import read_model

# vLLM's defaults for a server on a GPU; neither form says what they were.
_MAX_NUM_BATCHED_TOKENS = 8192
_MAX_NUM_SEQS = 1024
_BLOCK_SIZE = 16
_KV_BYTES_PER_TOKEN = 131_072


def imported(given: Mapping[str, Any], wanted: Wanted) -> Found:
    """Return the profile of the points in the folders *given*. Raises ConfigError."""
    parallelism = _parallelism(wanted.parallelisms)
    prompts, batches, capacity = _points(given["imported"], gpus=parallelism.gpus)
    capacity = given["kv_tokens"] or capacity
    if capacity is None:
        raise ConfigError(
            "--import: aiperf does not say how many tokens the KV cache holds",
            hint="--kv-tokens N, as the engine told when it started",
        )
    limits = EngineLimits(
        max_num_batched_tokens=_MAX_NUM_BATCHED_TOKENS,
        max_num_seqs=_MAX_NUM_SEQS,
        block_size=_BLOCK_SIZE,
        kv_capacity_tokens=capacity,
        kv_bytes_per_token=_kv_bytes(given["model"]),
        transfer_bytes_per_second=ADAPTER_BYTES_PER_SECOND * parallelism.gpus,
    )
    profile = _profile(given, wanted, [_entry(parallelism, limits, prompts, batches)])
    return Found(
        profile=profile,
        choice=choose(profile, wanted.target.sla, wanted.target.workload),
        rate_given=wanted.target.workload.rate_rps > 0,
    )


def _parallelism(chosen: tuple[Parallelism, ...] | None) -> Parallelism:
    if chosen is None:
        return Parallelism()
    if len(chosen) > 1:
        raise ConfigError("--import takes the points of one parallelism", hint="--parallelism tp1")
    return chosen[0]


def _points(
    folders: Sequence[Path], *, gpus: int
) -> tuple[list[PrefillPoint], list[DecodePoint], int | None]:
    prompts: list[PrefillPoint] = []
    batches: list[DecodePoint] = []
    capacity = None
    for folder in folders:
        if (folder / PREFILL_FOLDER).is_dir():
            more_prompts, more_batches, capacity = import_npz(folder, gpus=gpus)
        else:
            more_prompts, more_batches = read_sweep(folder)
        prompts += more_prompts
        batches += more_batches
    return prompts, batches, capacity


def _entry(
    parallelism: Parallelism,
    limits: EngineLimits,
    prompts: Sequence[PrefillPoint],
    batches: Sequence[DecodePoint],
) -> EngineProfile:
    prefill, decode = prefill_curve(prompts, limits), decode_curve(batches, limits)
    return EngineProfile(
        parallelism=parallelism,
        engine=EngineModel(prefill=prefill.law, decode=decode.law, limits=limits),
        prefill_points=tuple(prompts),
        decode_points=tuple(batches),
        prefill_accuracy=prefill.errors.accuracy(confidence=None),
        decode_accuracy=decode.errors.accuracy(confidence=None),
    )


def _profile(given: Mapping[str, Any], wanted: Wanted, entries: list[EngineProfile]) -> Profile:
    model = "unknown" if given["model"] is None else given["model"].resolve().name
    gpu = given["gpu"] or "unknown"
    sources = ", ".join(folder.name for folder in given["imported"])
    return Profile(
        name=wanted.results.name or f"{model}-{gpu}-imported".lower(),
        model=model,
        gpu=gpu,
        engine_version="unknown",
        kind=Kind.MEASURED,
        source=f"points of others ({sources}), imported by planner {version('planner')}",
        licence="none stated",
        notes=(
            "Token budget, sequence limit, block size and KV transfer rate are usual ones: "
            "the points do not say what they were.",
            *(
                ()
                if given["model"]
                else (f"KV bytes per token: {_KV_BYTES_PER_TOKEN}, assumed without a model.",)
            ),
        ),
        engines=tuple(entries),
    )


def _kv_bytes(model: Path | None) -> int:
    return _KV_BYTES_PER_TOKEN if model is None else read_model(model).kv_bytes_per_token
