"""The description of a fleet: what it says, and how a mistake in it is told."""

import re

import pytest

from planner.config.fleet import read_fleet
from planner.core.role import Role
from planner.errors import ConfigError
from planner.sources.engines.names import EngineKind

WHOLE = """
gpus = [0, "1", "2"]
engine = "vllm"
drain = "2m"
notice = "5s"
[roles.prefill]
command = "vllm serve 'my model' --port {port}"
first_port = 8100
gpus = 2
[roles.decode]
command = ["vllm", "serve", "m", "--port", "{port}"]
first_port = 8200
ready = "/ready"
host = "10.0.0.5"
env = { A = "b" }
"""


def described(tmp_path, text):
    file = tmp_path / "fleet.toml"
    file.write_text(text)
    return read_fleet(file)


def test_a_whole_one(tmp_path):
    fleet = described(tmp_path, WHOLE)
    prefill, decode = fleet.roles[Role.PREFILL], fleet.roles[Role.DECODE]
    assert prefill.command == ("vllm", "serve", "my model", "--port", "{port}")
    assert (prefill.first_port, prefill.gpus, prefill.ready) == (8100, 2, "/health")
    assert (decode.command[0], decode.ready, decode.host, decode.env) == (
        "vllm", "/ready", "10.0.0.5", {"A": "b"}
    )  # fmt: skip
    assert (fleet.gpus, fleet.engine) == (("0", "1", "2"), EngineKind.VLLM)
    assert (fleet.drain, fleet.notice) == (120, 5)


ROLE = '[roles.aggregated]\ncommand = "x {port}"\nfirst_port = 8100\n'


def test_what_may_be_left_out(tmp_path):
    fleet = described(tmp_path, ROLE)
    assert (fleet.gpus, fleet.engine, fleet.drain, fleet.notice) == ((), None, 60, 10)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "fleet.toml: roles: field required", id="empty"),
        pytest.param("roles 3", "fleet.toml: not TOML", id="not TOML"),
        pytest.param(ROLE.replace("aggregated", "decoder"), "roles.decoder", id="role"),
        pytest.param(ROLE.replace("{port}", "8100"), "command has no {port}", id="no port"),
        pytest.param(ROLE.replace("8100", "0"), "first_port: input should be greater", id="port"),
        pytest.param(ROLE + "gpu = 1\n", "roles.aggregated.gpu: extra inputs", id="unknown"),
        pytest.param(ROLE + "gpus = 1\n", "roles.aggregated.gpus 1: the fleet has 0", id="GPUs"),
        pytest.param('drain = "5"\n' + ROLE, "a duration needs a unit", id="duration"),
        pytest.param(ROLE + 'ready = "health"\n', "ready: string should match", id="path"),
        pytest.param(ROLE + ROLE.replace("aggregated", "decode"), "begin 0 ports apart", id="near"),
        pytest.param(
            ROLE + ROLE.replace("aggregated", "decode").replace("8100", "8300"),
            "aggregated servers and others do not make one fleet",
            id="mixed",
        ),
    ],
)
def test_a_mistake_is_told_in_one_line(tmp_path, text, message):
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        described(tmp_path, text)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        read_fleet(tmp_path / "gone.toml")
