"""Makes the bundled profiles from published sweeps: ``python -m profiler.bundled SOURCES TARGET``.

SOURCES is a folder with the three CSV files, TARGET the folder that receives the JSON files.
"""

import csv
import sys
from pathlib import Path

from planner.core.engine import EngineLimits, EngineModel
from planner.core.fit import fit_decode, fit_prefill
from planner.core.profile import (
    DecodePoint,
    EngineProfile,
    Kind,
    Parallelism,
    PrefillPoint,
    Profile,
)
from profiler.document import render
from profiler.fit.engines import ADAPTER_BYTES_PER_SECOND

_LLAMA_KV_TOKENS = 945_029
_QWEN_WEIGHT_BYTES = 65.5e9
_QWEN_KV_BYTES = 262_144
_H200_BYTES = 141e9
_USABLE_MEMORY = 0.9

_Rows = list[dict[str, str]]


def llama_h200(sources: Path) -> Profile:
    """Return the measured profile of Llama 3.1 8B FP8 on one H200."""
    prefill = [
        PrefillPoint(isl=int(row["isl"]), ttft_seconds=_seconds(row["ttft_ms"]))
        for row in _rows(sources / "dynamo_h200_tp1_prefill.csv")
    ]
    decode = [_achieved(row) for row in _rows(sources / "dynamo_h200_tp1_decode.csv")]
    limits = EngineLimits(
        max_num_batched_tokens=8192,
        max_num_seqs=1024,
        block_size=16,
        kv_capacity_tokens=_LLAMA_KV_TOKENS,
        kv_bytes_per_token=131_072,
        transfer_bytes_per_second=ADAPTER_BYTES_PER_SECOND,
    )
    return Profile(
        name="llama-3.1-8b-fp8-h200",
        model="nvidia/Llama-3.1-8B-Instruct-FP8",
        gpu="h200",
        engine_version="unknown (published with ai-dynamo 1.6.1)",
        kind=Kind.MEASURED,
        source="ai-dynamo 1.6.1, sweep of one H200, prefill TP1 and decode TP1",
        licence="Apache-2.0",
        notes=(
            "Decode batches are achieved ones: tokens per second times the time between tokens. "
            "At context 350 the engine held 788 to 900 requests where up to 1573 were asked for.",
            "KV bytes per token: 32 layers x 8 heads x 128 x 2 (K and V) x 2 bytes.",
            "Token budget and sequence limit are vLLM's defaults for a server on this GPU; the "
            "transfer rate is that of one 400 Gb/s adapter. Neither is part of the sweep.",
        ),
        engines=(_fitted(Parallelism(), limits, prefill, decode),),
    )


def _achieved(row: dict[str, str]) -> DecodePoint:
    """Return the point at the batch the engine really held, by Little's law."""
    itl = _seconds(row["itl_ms"])
    batch = round(float(row["thpt_per_gpu"]) * itl, 3)
    kv_tokens = round(batch * float(row["context_length"]), 1)
    return DecodePoint(batch=batch, kv_tokens=kv_tokens, itl_seconds=itl)


def qwen_h200(sources: Path) -> Profile:
    """Return the estimated profile of Qwen3 32B on 1, 2, 4 and 8 H200."""
    rows = _rows(sources / "aic_h200_qwen3-32b_vllm.csv")
    return Profile(
        name="qwen3-32b-h200",
        model="Qwen/Qwen3-32B",
        gpu="h200",
        engine_version="vllm 0.24.0",
        kind=Kind.ESTIMATED,
        source="AIConfigurator 0.12.0 (aiconfigurator-core data for h200_sxm, vllm 0.24.0, BF16)",
        licence="Apache-2.0",
        notes=(
            "Estimates, not measurements.",
            "KV capacity: (0.9 x 141 GB x TP - 65.5 GB of weights) / 262144 bytes per token.",
            "KV bytes per token: 64 layers x 8 heads x 128 x 2 (K and V) x 2 bytes.",
            "No batch above 256 was estimated, so none is run; the token budget is vLLM's default "
            "for a server on this GPU, the transfer rate that of one 400 Gb/s adapter per GPU.",
        ),
        engines=tuple(_qwen_engine(rows, tp) for tp in (1, 2, 4, 8)),
    )


def _qwen_engine(rows: _Rows, tp: int) -> EngineProfile:
    mine = [row for row in rows if row["tp"] == str(tp)]
    prefill = [
        PrefillPoint(isl=int(row["isl"]), ttft_seconds=_seconds(row["ttft_ms"]))
        for row in mine
        if row["mode"] == "prefill"
    ]
    kv_bytes = _USABLE_MEMORY * _H200_BYTES * tp - _QWEN_WEIGHT_BYTES
    limits = EngineLimits(
        max_num_batched_tokens=8192,
        max_num_seqs=256,
        block_size=16,
        kv_capacity_tokens=int(kv_bytes / _QWEN_KV_BYTES),
        kv_bytes_per_token=_QWEN_KV_BYTES,
        transfer_bytes_per_second=ADAPTER_BYTES_PER_SECOND * tp,
    )
    decode = [_asked(row) for row in mine if row["mode"] == "decode"]
    return _fitted(Parallelism(tp=tp), limits, prefill, decode)


def _asked(row: dict[str, str]) -> DecodePoint:
    """Return the point of an estimate, whose batch is the one asked for."""
    context = int(row["isl"]) + int(row["osl"]) / 2
    batch = int(row["bs"])
    return DecodePoint(batch=batch, kv_tokens=batch * context, itl_seconds=_seconds(row["tpot_ms"]))


def _fitted(
    parallelism: Parallelism,
    limits: EngineLimits,
    prefill: list[PrefillPoint],
    decode: list[DecodePoint],
) -> EngineProfile:
    engine = EngineModel(prefill=fit_prefill(prefill), decode=fit_decode(decode), limits=limits)
    return EngineProfile(
        parallelism=parallelism,
        engine=engine,
        prefill_points=tuple(prefill),
        decode_points=tuple(decode),
    )


def _rows(path: Path) -> _Rows:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _seconds(milliseconds: str) -> float:
    return round(float(milliseconds) / 1e3, 9)


def main(sources: Path, target: Path) -> None:
    """Write both profiles from the CSV files in *sources* to the folder *target*."""
    for profile in (llama_h200(sources), qwen_h200(sources)):
        text = render(profile.to_dict())
        (target / f"{profile.name}.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
