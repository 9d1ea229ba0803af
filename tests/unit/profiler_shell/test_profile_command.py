"""`planner profile` without an engine: flags, the plan, and profiles made of other things."""

import json
import random
from pathlib import Path

import pytest

from planner.cli.main import main
from planner.cli.profiling.found import Found
from planner.cli.profiling.vllm_settings import vllm_settings
from planner.core.drift import model_seconds
from planner.core.observation import Observation, RoleLoad, StepSums
from planner.core.policy import PolicyConfig
from planner.core.profile import Kind
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.workload import Workload
from planner.journal import Entry, Journal, Run
from planner.profiles import load_profile
from profiler.choose import choose
from profiler.exchange.npz import export_npz
from profiler.plan.gpu import find_gpu

TRUTH = load_profile("llama-3.1-8b-fp8-h200")
LOAD = ("--sla=ttft=500ms,itl=30ms", "--isl=1000", "--osl=200")

REFUSED = [
    pytest.param(["--gpu-memory=80"], "a size needs a unit", "--gpu-memory 80GB", id="no unit"),
    pytest.param(["--parallelism=tp3"], "tp3 is not covered", "use tp1", id="not in the truth"),
    pytest.param(["--parallelism=two"], "is not a parallelism", "write tp2", id="no parallelism"),
    pytest.param(["--sla=ttft=200"], "a duration needs a unit", "ttft=200ms", id="SLA"),
    pytest.param(["--budget=10"], "--budget 10", "--budget 10", id="budget without a unit"),
    pytest.param(["--max-points=3"], "needs 7", "--max-points 7", id="too few points"),
    pytest.param(["--profile=nonesuch"], "not bundled", "give a file", id="no such truth"),
    pytest.param(["--engine=vllm"], "which model?", "--model DIR", id="vLLM without a model"),
    pytest.param(["--", "--dtype", "half"], "for vLLM", "--engine vllm", id="arguments for vLLM"),
    pytest.param(["--out=/nonesuch/p.json"], "no such folder", "mkdir", id="no folder"),
    pytest.param(
        ["--load-generator=aiperf", "--aiperf=/nonesuch/aiperf"],
        "no program", "pip install aiperf", id="no aiperf",
    ),
    pytest.param(["--estimate"], "a model and a system", "--system", id="estimate of what"),
    pytest.param(["--import=/nonesuch"], "holds no run of aiperf", "--artifact", id="no import"),
    pytest.param(["--from-journal=/nonesuch"], "/nonesuch", "planner run", id="no journal"),
]  # fmt: skip


@pytest.mark.parametrize(("flags", "what", "hint"), REFUSED)
def test_what_cannot_be_used_is_said_in_one_line(capsys, flags, what, hint) -> None:
    code = main(["profile", *flags])
    out, err = capsys.readouterr()

    assert code in (1, 2)
    assert out == ""
    told, _, hinted = err.partition("\n\nhint: ")
    assert told.startswith("error: ")
    assert "\n" not in told
    assert what in told
    assert hint in hinted


def test_the_plan_is_shown_before_anything_starts(capsys) -> None:
    assert main(["profile", "--dry-run", "--profile=qwen3-32b-h200", "--max-gpus=2"]) == 0
    shown = capsys.readouterr().out

    assert "20 points of 2 engines" in shown
    assert "at most 2 GPUs" in shown
    assert "tp4" not in shown


def test_the_plan_as_json(capsys) -> None:
    flags = ["--profile=qwen3-32b-h200", "--parallelism=tp1", "--max-points=8", "-o", "json"]
    assert main(["profile", "--dry-run", *flags]) == 0
    document = json.loads(capsys.readouterr().out)

    assert document["points"] == 8
    assert [engine["parallelism"] for engine in document["engines"]] == ["tp1"]
    assert document["memory"] is None


def test_the_plan_for_vllm_shows_the_arithmetic(capsys, tmp_path: Path) -> None:
    shape = {
        "num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32,
        "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256,
        "max_position_embeddings": 131072, "torch_dtype": "bfloat16",
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(shape))
    flags = ["--engine=vllm", f"--model={tmp_path}", "--gpu=l4", "--gpus=4", "--dry-run"]
    assert main(["profile", *flags]) == 0
    shown = capsys.readouterr().out

    assert "left for KV" in shown
    assert "tp4" in shown


@pytest.mark.parametrize(
    ("arguments", "gpu", "found"),
    [
        pytest.param([], "h200", (1024, 8192, None), id="large GPU"),
        pytest.param([], "a100-80gb", (256, 8192, None), id="smaller GPU"),
        pytest.param([], "cpu", (128, 2048, None), id="CPU"),
        pytest.param(
            ["--max-num-seqs", "16", "--max-model-len=512"], "cpu", (16, 2048, 512), id="given"
        ),
        pytest.param(["--max_model_len", "16k"], "l4", (256, 8192, 16_000), id="with a unit"),
        pytest.param(["--max-num-seqs", "8", "--max-num-seqs"], "l4", (256, 8192, None), id="cut"),
        pytest.param(["--max-model-len=auto"], "l4", (256, 8192, None), id="not a number"),
    ],
)
def test_what_vllm_would_hold_follows_from_its_arguments(arguments, gpu, found) -> None:
    settings = vllm_settings(arguments, find_gpu(gpu), has_gpu=gpu != "cpu")
    told = (settings.max_num_seqs, settings.max_num_batched_tokens, settings.context_length)
    assert told == found


def test_points_of_others_become_a_profile(capsys, tmp_path: Path) -> None:
    export_npz(TRUTH.engines[0], tmp_path / "npz")
    out = tmp_path / "found.json"
    flags = [f"--import={tmp_path / 'npz'}", f"--out={out}", "--gpu=h200", *LOAD]
    assert main(["profile", *flags, f"--report={tmp_path / 'r.html'}"]) == 0
    found, truth = load_profile(out).engine(), TRUTH.engine()

    assert found.prompt_seconds(5000) == pytest.approx(truth.prompt_seconds(5000), rel=0.02)
    assert found.limits.kv_capacity_tokens == truth.limits.kv_capacity_tokens
    assert f"planner serve --profile={out}" in capsys.readouterr().out
    assert (tmp_path / "r.html").exists()


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        pytest.param([], {}, id="prompts alike"),
        pytest.param(["--isl-p99=3000"], {"isl_p99": pytest.approx(3000)}, id="long prompts"),
    ],
)
def test_the_load_of_the_choice_as_json(capsys, tmp_path: Path, flags, told) -> None:
    export_npz(TRUTH.engines[0], tmp_path / "npz")
    found = [f"--import={tmp_path / 'npz'}", f"--out={tmp_path / 'found.json'}", *LOAD, *flags]
    assert main(["profile", *found, "--rate=20/s", "-o", "json"]) == 0
    workload = json.loads(capsys.readouterr().out)["workload"]

    assert workload == {"rate_rps": 20, "isl": 1000, "osl": 200, **told}


def test_an_infeasible_sla_still_writes_the_profile(capsys, tmp_path: Path) -> None:
    export_npz(TRUTH.engines[0], tmp_path / "npz")
    out = tmp_path / "found.json"
    flags = [f"--import={tmp_path / 'npz'}", f"--out={out}", "--sla=ttft=500ms,itl=1ms"]

    assert main(["profile", *flags]) == 4
    assert "nearest that can be met: ttft=500ms,itl=" in capsys.readouterr().out
    assert load_profile(out).kind is Kind.MEASURED


@pytest.mark.parametrize(
    ("sla", "is_partial", "code"),
    [
        pytest.param("ttft=500ms,itl=30ms", False, 0, id="whole"),
        pytest.param("ttft=500ms,itl=30ms", True, 3, id="something is missing"),
        pytest.param("itl=1ms", True, 4, id="infeasible weighs more"),
    ],
)
def test_the_exit_code_follows_from_what_was_found(sla, is_partial, code) -> None:
    choice = choose(TRUTH, Sla.parse(sla), Workload(rate_rps=20, isl=1000, osl=200))
    assert Found(profile=TRUTH, choice=choice, is_partial=is_partial).exit_code == code


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Return the journal of a deployment whose decode engines are a fifth slower than known."""
    path, rng, engine = tmp_path / "journal.sqlite", random.Random(1), TRUTH.engine()
    policy = PolicyConfig(sla=Sla.parse("ttft=500ms,itl=30ms"))
    config = {"policy": policy, "profile": TRUTH.to_dict()}
    with Journal.open(path) as journal:
        run = journal.begin(Run(started=0.0, mode="observes", sla=str(policy.sla), config=config))
        for at in range(60):
            steps, batch = rng.randint(100, 400), rng.randint(1, 200)
            context = rng.randint(200, 4000)
            sums = StepSums(
                seconds=0.0, steps=steps, prefill_steps=0, decoded=steps * batch,
                kv_tokens=steps * batch * context, prefilled=0, prefilled_squared=0,
            )  # fmt: skip
            seconds = 1.2 * model_seconds(Role.DECODE, engine, sums) * rng.gauss(1, 0.01)
            told = RoleLoad(steps=StepSums(**{**_fields(sums), "seconds": seconds}))
            observation = Observation(at=float(at), fleet={}, load={Role.DECODE: told})
            journal.append(run, Entry(at=float(at), observation=observation, plan=None))
    return path


def _fields(sums: StepSums) -> dict[str, float]:
    return {name: getattr(sums, name) for name in StepSums.__dataclass_fields__}


def test_a_profile_is_fitted_again_from_what_production_measured(
    capsys, journal: Path, tmp_path: Path
) -> None:
    out = tmp_path / "again.json"
    assert main(["profile", f"--from-journal={journal}", f"--out={out}", *LOAD]) == 0
    found, before = load_profile(out), TRUTH.engine()

    step = before.decode.step_seconds(64, 64 * 1500)
    assert found.engine().decode.step_seconds(64, 64 * 1500) == pytest.approx(1.2 * step, rel=0.03)
    assert found.engine().prefill == before.prefill
    assert found.name == f"{TRUTH.name}-refitted"
    assert any("Fitted again from 60 intervals" in note for note in found.notes)
    assert "mean error 16" in capsys.readouterr().err
