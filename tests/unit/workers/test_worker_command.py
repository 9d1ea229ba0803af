"""The worker's command line: bad input is one line and exit code 2, before anything starts."""

import json
from pathlib import Path

import pytest

import planner
import workers.simulated
from planner.core.role import Role
from workers.disaggregation.decision import Limits
from workers.options import read_options
from workers.simulated.__main__ import _equip, main, parser

ROOT = Path(planner.__file__).parent
MODEL = str(Path(workers.simulated.__file__).parent / "model")
PROFILE = str(ROOT / "profiles" / "qwen3-32b-h200.json")
GOOD = {
    "--role": "decode",
    "--name": "decode-1",
    "--store": "memory:",
    "--plane": "memory:",
    "--model": MODEL,
    "--profile": PROFILE,
}


def line(**changes: str | None) -> list[str]:
    chosen = GOOD | {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
    return [word for name, value in chosen.items() if value is not None for word in (name, value)]


BAD = [
    pytest.param(line(role="router"), "--role", id="role"),
    pytest.param(line(name=None), "--name", id="no name"),
    pytest.param(line(cold_start="3"), "needs a unit", id="duration without unit"),
    pytest.param(line(cold_start="soon"), "not a duration", id="no duration"),
    pytest.param(line(kv_blocks="0"), "at least 1", id="no blocks"),
    pytest.param(line(kv_blocks="many"), "at least 1", id="no number"),
    pytest.param(line(speedup="0"), "above 0", id="speedup"),
    pytest.param(line(speedup="nan"), "above 0", id="speedup nan"),
    pytest.param(line(noise="150%"), "above 100%", id="noise"),
    pytest.param(line(metrics_port="-1"), "at least 0", id="port"),
    pytest.param(line(model="/no/such/folder"), "/no/such/folder", id="model folder"),
    pytest.param(line(profile="/no/such/file"), "/no/such/file", id="profile file"),
    pytest.param(line(profile="qwen3"), "not bundled", id="profile name"),
    pytest.param(line(profile=MODEL + "/config.json"), "config.json", id="no profile"),
    pytest.param(line(parallelism="tp3"), "tp3", id="parallelism not covered"),
    pytest.param(line(parallelism="3"), "not a parallelism", id="no parallelism"),
    pytest.param(line(model=str(ROOT)), "config.json", id="no model in the folder"),
    pytest.param(line(namespace="a b"), "namespace", id="namespace"),
    pytest.param([*line(), "--speedy"], "--speedy", id="unknown flag"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_input_is_one_line(arguments, message, capsys):
    try:
        code = main(arguments)
    except SystemExit as exit_:
        code = exit_.code
    assert code == 2
    written = capsys.readouterr().err
    assert message in written
    assert written.count("\n") == 1


def test_the_engine_comes_from_the_profile_unless_told_otherwise():
    parsed = parser().parse_args(line(parallelism="tp4"))
    equipment = _equip(read_options(parsed), parsed, on_step=lambda seconds: None)
    limits = json.loads(Path(PROFILE).read_text())["engines"][2]["limits"]
    blocks = limits["kv_capacity_tokens"] // limits["block_size"]
    assert equipment.gpus == 4
    assert equipment.card.total_kv_blocks == blocks
    assert equipment.token_budget == limits["max_num_batched_tokens"]

    told = [("kv_blocks", "100"), ("max_num_seqs", "7"), ("max_num_batched_tokens", "512")]
    parsed = parser().parse_args(line(**dict(told)))
    equipment = _equip(read_options(parsed), parsed, on_step=lambda seconds: None)
    card = equipment.card
    assert (card.total_kv_blocks, card.max_num_seqs, equipment.token_budget) == (100, 7, 512)
    assert card.context_length == 1600  # all of its memory


def test_model_and_profile_are_there_without_a_folder_of_ones_own():
    parsed = parser().parse_args(line(model=None, profile="qwen3-32b-h200"))
    assert str(read_options(parsed).model) == MODEL
    assert _equip(read_options(parsed), parsed, on_step=lambda seconds: None).gpus == 1


def test_options_are_read():
    arguments = line(
        role="prefill",
        model_name="qwen",
        drain_timeout="2m",
        max_local_prefill_length="128",
        remote_prefill_timeout="3s",
    )
    options = read_options(parser().parse_args(arguments))
    assert options.role is Role.PREFILL
    assert options.model_name == "qwen"
    assert options.drain_timeout == 120
    assert options.limits == Limits(max_local_prefill_length=128)
    assert options.remote_prefill_timeout == 3
    assert read_options(parser().parse_args(line())).model_name == "model"
    assert read_options(parser().parse_args(line())).listens_on == "127.0.0.1"
    assert read_options(parser().parse_args(line(bind="0.0.0.0"))).listens_on == "0.0.0.0"
