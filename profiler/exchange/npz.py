"""The layout in which Dynamo's profiler keeps its points: a raw_data.npz for each phase.

Milliseconds, tokens a second and GPU, and decode loads as a share of the KV capacity at a context
(prompt and half of the output).
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from planner.core.profile import DecodePoint, EngineProfile, PrefillPoint
from planner.errors import ProfileError

PREFILL_FOLDER = "selected_prefill_interpolation"
DECODE_FOLDER = "selected_decode_interpolation"
_FILE = "raw_data.npz"
_PREFILL = ("prefill_isl", "prefill_ttft", "prefill_thpt_per_gpu")
_DECODE = ("x_kv_usage", "y_context_length", "z_itl", "z_thpt_per_gpu", "max_kv_tokens")

_Arrays = Mapping[str, "np.ndarray[tuple[int], np.dtype[np.float64]]"]


def export_npz(entry: EngineProfile, folder: Path) -> None:
    """Write the points of *entry* into *folder*; raises ProfileError where that cannot be."""
    gpus = entry.parallelism.gpus
    prefill = {
        "prefill_isl": [point.isl for point in entry.prefill_points],
        "prefill_ttft": [point.ttft_seconds * 1e3 for point in entry.prefill_points],
        "prefill_thpt_per_gpu": [
            point.isl / point.ttft_seconds / gpus for point in entry.prefill_points
        ],
    }
    capacity = entry.engine.limits.kv_capacity_tokens
    points = entry.decode_points
    decode = {
        "x_kv_usage": [point.kv_tokens / capacity for point in points],
        "y_context_length": [point.kv_tokens / point.batch for point in points],
        "z_itl": [point.itl_seconds * 1e3 for point in points],
        "z_thpt_per_gpu": [point.batch / point.itl_seconds / gpus for point in points],
        "max_kv_tokens": [capacity],
    }
    for name, arrays in ((PREFILL_FOLDER, prefill), (DECODE_FOLDER, decode)):
        try:
            (folder / name).mkdir(parents=True, exist_ok=True)
            np.savez(folder / name / _FILE, **{k: np.array(v) for k, v in arrays.items()})  # type: ignore[arg-type]
        except OSError as error:
            raise ProfileError(
                f"{folder / name}: {error.strerror}", hint="another folder"
            ) from error


def import_npz(folder: Path, *, gpus: int = 1) -> tuple[list[PrefillPoint], list[DecodePoint], int]:
    """Return the points in *folder*, decode's at the batch achieved, and the KV capacity in tokens.

    The batch follows from throughput and ITL (Little's law), not from what was asked for. Raises
    ProfileError naming the file and what is wrong in it.
    """
    prefill = _read(folder / PREFILL_FOLDER / _FILE, _PREFILL)
    decode = _read(folder / DECODE_FOLDER / _FILE, _DECODE)
    prompts = [
        PrefillPoint(isl=round(float(isl)), ttft_seconds=float(ttft) / 1e3)
        for isl, ttft in zip(prefill["prefill_isl"], prefill["prefill_ttft"], strict=True)
    ]
    loads = []
    columns = (decode["y_context_length"], decode["z_itl"], decode["z_thpt_per_gpu"])
    for context, itl, throughput in zip(*columns, strict=True):
        batch = float(throughput) * gpus * float(itl) / 1e3
        loads.append(
            DecodePoint(batch=batch, kv_tokens=batch * float(context), itl_seconds=float(itl) / 1e3)
        )
    return prompts, loads, int(decode["max_kv_tokens"][0])


def _read(path: Path, names: tuple[str, ...]) -> _Arrays:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: np.ravel(archive[name]).astype(float) for name in names}
    except (OSError, ValueError, KeyError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ProfileError(
            f"{path}: {reason}", hint=f"a folder with {PREFILL_FOLDER} and {DECODE_FOLDER}"
        ) from error
    columns = [values for name, values in arrays.items() if name != "max_kv_tokens"]
    if len({len(values) for values in columns}) != 1 or not len(columns[0]):
        raise ProfileError(f"{path}: its arrays differ in length or are empty", hint="export again")
    return arrays
