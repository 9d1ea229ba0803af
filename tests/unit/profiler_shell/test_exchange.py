"""Points of others: read as they write them, refused when they cannot be trusted."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from planner.errors import ConfigError, ProfileError
from planner.profiles import load_profile
from profiler.exchange.aiperf import read_run, read_sweep
from profiler.exchange.estimate import EstimatedRig
from profiler.exchange.npz import (
    DECODE_FOLDER,
    PREFILL_FOLDER,
    export_npz,
    import_npz,
)


@pytest.mark.parametrize("parallelism", [0, 1], ids=["one GPU", "two GPUs"])
def test_npz_keeps_every_point(tmp_path: Path, parallelism: int) -> None:
    entry = load_profile("qwen3-32b-h200").engines[parallelism]
    export_npz(entry, tmp_path)
    prompts, loads, capacity = import_npz(tmp_path, gpus=entry.parallelism.gpus)

    assert capacity == entry.engine.limits.kv_capacity_tokens
    assert [p.isl for p in prompts] == [p.isl for p in entry.prefill_points]
    for found, known in zip(loads, entry.decode_points, strict=True):
        assert found.batch == pytest.approx(known.batch)
        assert found.kv_tokens == pytest.approx(known.kv_tokens)
        assert found.itl_seconds == pytest.approx(known.itl_seconds)


def test_npz_has_the_names_and_units_of_the_other(tmp_path: Path) -> None:
    entry = load_profile("llama-3.1-8b-fp8-h200").engines[0]
    export_npz(entry, tmp_path)
    with np.load(tmp_path / PREFILL_FOLDER / "raw_data.npz") as prefill:
        assert set(prefill) == {"prefill_isl", "prefill_ttft", "prefill_thpt_per_gpu"}
        assert prefill["prefill_ttft"][0] == pytest.approx(19.5252)  # ms
    with np.load(tmp_path / DECODE_FOLDER / "raw_data.npz") as decode:
        assert set(decode) == {
            "x_kv_usage", "y_context_length", "z_itl", "z_thpt_per_gpu", "max_kv_tokens",
        }  # fmt: skip
        assert decode["max_kv_tokens"].tolist() == [945029]
        assert 0 < decode["x_kv_usage"].max() <= 1


def test_npz_without_a_file_or_an_array_says_which(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"raw_data\.npz: No such file"):
        import_npz(tmp_path)
    (tmp_path / PREFILL_FOLDER).mkdir()
    np.savez(tmp_path / PREFILL_FOLDER / "raw_data.npz", prefill_isl=np.array([1.0]))
    with pytest.raises(ProfileError, match="prefill_ttft"):
        import_npz(tmp_path)


def summary(**changed: Any) -> dict[str, Any]:
    return {
        "aiperf_version": "0.13.0", "is_complete": True, "was_cancelled": False,
        "error_summary": [], "request_count": {"avg": 32.0},
        "usage_prompt_tokens": {"avg": 256.0}, "usage_completion_tokens": {"avg": 64.0},
        "time_to_first_token": {"avg": 75.7}, "inter_token_latency": {"avg": 20.0},
        "effective_concurrency": {"avg": 15.3, "p50": 16.0},
    } | changed  # fmt: skip


def written(folder: Path, document: dict[str, Any]) -> Path:
    folder.mkdir(parents=True)
    (folder / "profile_export_aiperf.json").write_text(json.dumps(document))
    return folder


def test_a_sweep_of_aiperf_becomes_prompts_and_batches(tmp_path: Path) -> None:
    alone = {"usage_completion_tokens": {"avg": 1.0}, "inter_token_latency": {"avg": 0.0}}
    written(tmp_path / "isl_256__concurrency_1", summary(**alone))
    written(tmp_path / "osl_64__concurrency_16", summary())
    prompts, batches = read_sweep(tmp_path)

    assert [(p.isl, p.ttft_seconds) for p in prompts] == [(256, pytest.approx(0.0757))]
    (batch,) = batches
    assert (batch.batch, batch.kv_tokens, batch.itl_seconds) == (16.0, 16 * 288, 0.02)


UNTRUSTED = [
    pytest.param({"is_complete": False}, "not complete", id="incomplete"),
    pytest.param({"was_cancelled": True}, "not complete", id="cancelled"),
    pytest.param({"error_summary": [{"count": 1}]}, "not complete", id="with errors"),
    pytest.param({"usage_prompt_tokens": None}, "without", id="counted by the client"),
]


@pytest.mark.parametrize(("changed", "why"), UNTRUSTED)
def test_a_run_that_cannot_be_trusted_is_refused(tmp_path: Path, changed, why) -> None:
    with pytest.raises(ProfileError, match=why):
        read_run(written(tmp_path / "run", summary(**changed)))


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="holds no run"):
        read_sweep(tmp_path)


def test_estimates_want_their_package() -> None:
    try:
        import aiconfigurator_core  # noqa: F401
    except ImportError:
        with pytest.raises(ConfigError, match="is not installed") as refused:
            EstimatedRig("Qwen/Qwen3-32B", system="h200_sxm")
        assert refused.value.hint == "pip install 'planner[estimate]'"
    else:
        with pytest.raises(ConfigError, match="h900: none of"):
            EstimatedRig("Qwen/Qwen3-32B", system="h900")


async def test_an_estimate_is_what_the_bundled_profile_was_made_of() -> None:
    pytest.importorskip("aiconfigurator_core", reason="aiconfigurator-core is not installed")
    rig = EstimatedRig("Qwen/Qwen3-32B", system="h200_sxm")
    known = load_profile("qwen3-32b-h200").engines[0]
    async with rig.engine(known.parallelism) as engine:
        sample = await engine.prefill(3000)
    measured = next(p for p in known.prefill_points if p.isl == 3000)

    assert sample.ttft_seconds == pytest.approx(measured.ttft_seconds, rel=0.01)
    assert engine.facts.kv_bytes_per_token == known.engine.limits.kv_bytes_per_token
