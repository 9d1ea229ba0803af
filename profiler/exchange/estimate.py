"""Engines that nobody started: a `Rig` that answers with the estimates of aiconfigurator-core.

Its tables of measured operations give the time of a whole step, without a GPU and in under a
millisecond. What comes of it is an estimate, and every profile made of it says so.
"""

import importlib
import json
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from planner.core.profile import Parallelism
from planner.errors import ConfigError
from profiler.ports import (
    DecodeSample,
    EngineFacts,
    MeasuringFailed,
    PrefillSample,
    RunningEngine,
)

BACKEND = "vllm"
_PACKAGE = "aiconfigurator_core"
_MODULES = ("config", "config_builders", "memory", "models", "perf_database")
_INSTALL = "pip install 'planner[estimate]'"
# vLLM's defaults for a server on a GPU of a data centre, and the share of memory that it takes.
_MAX_NUM_BATCHED_TOKENS = 8192
_MAX_NUM_SEQS = 1024
_BLOCK_SIZE = 16
_MEMORY_SHARE = 0.9
_CONTEXT_LENGTH = 32_768
_DECODED_TOKENS = 2
"""A step apart: short, so that the context of the estimate is the one asked for."""


class EstimatedRig:
    """Estimates engines of *model*, a name or a folder, on *system*, such as ``h200_sxm``.

    Raises ConfigError where the package is missing or knows no such model or system.
    """

    def __init__(self, model: str, *, system: str) -> None:
        self._sdk = _sdk()
        self._model = model
        self._system = system
        database = self._sdk.perf_database
        known = sorted(database.get_supported_databases())
        release = database.get_latest_database_version(system, BACKEND) if system in known else None
        if release is None:
            hint = f"--system {known[0]}" if known else _INSTALL
            raise ConfigError(f"--system {system}: none of {', '.join(known)}", hint=hint)
        self._release = str(release)
        self._database = database.get_database(system, BACKEND, self._release)
        self._backend = self._sdk.factory.get_backend(BACKEND)

    @property
    def version(self) -> str:
        """The engine that is estimated."""
        return f"{BACKEND} {self._release}"

    @property
    def identity(self) -> dict[str, str]:
        """What the estimates depend on beside the parallelism."""
        return {"model": self._model, "system": self._system, "engine": self.version}

    def facts(self, parallelism: Parallelism) -> EngineFacts:
        """Return what the engine would tell. Raises ConfigError for a model that is not known."""
        try:
            memory = self._sdk.memory.estimate_kv_cache(
                self._model, self._system, BACKEND, self._release,
                max_num_tokens=_MAX_NUM_BATCHED_TOKENS, max_batch_size=_MAX_NUM_SEQS,
                memory_fraction_kind="of_total", memory_fraction_value=_MEMORY_SHARE,
                tp_size=parallelism.tp, pp_size=parallelism.pp,
            )  # fmt: skip
        except Exception as error:  # whatever it raises, it means that nothing can be estimated
            reason = " ".join(str(error).split())[:200]
            raise ConfigError(
                f"--model {self._model} on {self._system}: {reason}",
                hint="a name such as Qwen/Qwen3-32B, or a folder with a config.json",
            ) from error
        parts = memory["memory_breakdown"]
        return EngineFacts(
            start_up_seconds=0.0,
            max_num_seqs=_MAX_NUM_SEQS,
            max_num_batched_tokens=_MAX_NUM_BATCHED_TOKENS,
            block_size=_BLOCK_SIZE,
            kv_capacity_tokens=max(0, int(memory["total_kv_size_tokens"])),
            context_length=self._context_length(),
            engine_version=self.version,
            memory_bytes=int(sum(parts.values())),
            kv_bytes_per_token=int(memory["kv_size_per_token_bytes"]) * parallelism.gpus,
        )

    @asynccontextmanager
    async def engine(self, parallelism: Parallelism) -> AsyncIterator[RunningEngine]:
        """Yield an engine that answers with estimates; see `profiler.ports.Rig`."""
        sdk, tp, pp = self._sdk, parallelism.tp, parallelism.pp
        try:
            config = sdk.config_builders.build_model_config(
                tp_size=tp, pp_size=pp, attention_dp_size=1, moe_tp_size=tp, moe_ep_size=1
            )
            model = sdk.models.get_model(self._model, config, BACKEND)
            facts = self.facts(parallelism)
        except Exception as error:
            raise MeasuringFailed(f"{parallelism}: {error}") from error
        if facts.kv_capacity_tokens <= 0:
            raise MeasuringFailed(f"{parallelism}: the weights leave no room for a KV cache")

        def milliseconds(mode: str, *, batch: int, isl: int, osl: int) -> float:
            load = sdk.config.RuntimeConfig(batch_size=batch, isl=isl, osl=osl)
            found = self._backend.run_static(model, self._database, load, mode).get_result_dict()
            return float(found["ttft" if mode == "static_ctx" else "tpot"])

        yield _Estimated(facts, milliseconds)

    def _context_length(self) -> int:
        config = Path(self._model) / "config.json"
        if not config.is_file():
            bundled = f"{self._model.replace('/', '--')}_config.json"
            config = Path(str(self._sdk.package.__file__)).parent / "model_configs" / bundled
        try:
            length = json.loads(config.read_text(encoding="utf-8"))["max_position_embeddings"]
        except (OSError, ValueError, KeyError):
            return _CONTEXT_LENGTH
        return int(length)


class _Estimated:
    """One engine, as far as estimates go."""

    def __init__(self, facts: EngineFacts, milliseconds: Any) -> None:
        self._facts = facts
        self._milliseconds = milliseconds

    @property
    def facts(self) -> EngineFacts:
        """What it would tell."""
        return self._facts

    async def prefill(self, isl: int) -> PrefillSample:
        """Return the estimate for a prompt alone."""
        found = self._milliseconds("static_ctx", batch=1, isl=isl, osl=1)
        return PrefillSample(isl=isl, ttft_seconds=found / 1e3)

    async def decode(self, *, concurrency: int, context: int) -> DecodeSample:
        """Return the estimate for a batch at its context."""
        found = self._milliseconds(
            "static_gen", batch=concurrency, isl=context, osl=_DECODED_TOKENS
        )
        return DecodeSample(
            batch=float(concurrency),
            kv_tokens=float(concurrency * context),
            itl_seconds=found / 1e3,
            steps=1,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sdk:
    """The modules of the package that are used; it has no types."""

    package: Any
    config: Any
    config_builders: Any
    factory: Any
    memory: Any
    models: Any
    perf_database: Any


def _sdk() -> _Sdk:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # its models are bundled
    logging.getLogger(_PACKAGE).setLevel(logging.CRITICAL)
    try:
        return _Sdk(
            package=importlib.import_module(_PACKAGE),
            factory=importlib.import_module(f"{_PACKAGE}.sdk.backends.factory"),
            **{name: importlib.import_module(f"{_PACKAGE}.sdk.{name}") for name in _MODULES},
        )
    except ImportError as error:
        raise ConfigError(f"--estimate: {_PACKAGE} is not installed", hint=_INSTALL) from error
