"""The description of a local deployment survives its file, and a bad file is told in one line."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.circus.gpus import take_gpus
from connectors.circus.spec import DeploymentSpec, RoleSpec, spec_path
from planner.core.role import Role
from planner.errors import ConfigError

SPEC = DeploymentSpec(
    namespace="n",
    endpoint="ipc:///run/circus",
    store_url="etcd://127.0.0.1:1",
    plane_url="nats://127.0.0.1:2",
    frontend_url="http://127.0.0.1:8080",
    log_directory="/logs",
    roles={
        Role.DECODE: RoleSpec(command=("worker", "--name", "{name}", '{"a": 1}'), env={"A": "b"}),
        Role.PREFILL: RoleSpec(command=("worker",), gpus=2),
    },
    gpus=("0", "3"),
    owner_pid=7,
)


def test_a_spec_survives_its_file(tmp_path: Path) -> None:
    path = spec_path(tmp_path)
    SPEC.save(path)

    assert DeploymentSpec.load(path) == SPEC
    assert path.stat().st_mode & 0o077 == 0


def test_only_name_and_parent_are_filled_in() -> None:
    spec = RoleSpec(command=("run", "{parent}", "--name={name}", '{"a": 1}', "{port}"))

    assert spec.command_for("decode-4", parent=7) == [
        "run", "7", "--name=decode-4", '{"a": 1}', "{port}"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(None, "no deployment is described", id="missing"),
        pytest.param("", "does not describe", id="empty"),
        pytest.param("[]", "does not describe", id="a list"),
        pytest.param('{"schema_version": 9}', "schema_version is 9", id="from the future"),
        pytest.param('{"schema_version": 1, "roles": {}}', "'gpus'", id="half"),
        pytest.param('{"schema_version": 1, "roles": {"x": {}}}', "does not describe", id="role"),
    ],
)
def test_a_file_that_is_none_is_told(tmp_path: Path, text: str | None, message: str) -> None:
    path = spec_path(tmp_path)
    if text is not None:
        path.write_text(text)

    with pytest.raises(ConfigError, match=message) as raised:
        DeploymentSpec.load(path)
    assert raised.value.hint is not None


def test_an_unknown_field_is_told(tmp_path: Path) -> None:
    path = spec_path(tmp_path)
    SPEC.save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "colour": "red"}))

    with pytest.raises(ConfigError, match="colour"):
        DeploymentSpec.load(path)


def test_gpus_are_handed_out_once() -> None:
    free = ["0", "1", "3"]

    assert take_gpus(free, 2) == ["0", "1"]
    assert take_gpus(free, 2) is None
    assert take_gpus(free, 0) == []
    assert free == ["3"]


def test_a_server_of_another_make_is_known_by_its_port(tmp_path: Path) -> None:
    role = RoleSpec(command=("x", "{port}", "{name}"), first_port=8100, host="h1")
    assert (role.port("decode-1"), role.url("decode-3")) == (8100, "http://h1:8102")
    assert role.command_for("decode-2", parent=7) == ["x", "8101", "decode-2"]
    spec = replace(SPEC, roles={Role.DECODE: role})
    spec.save(tmp_path / "d.json")
    assert DeploymentSpec.load(tmp_path / "d.json") == spec
    assert spec.is_served_by_others
    assert not SPEC.is_served_by_others


def test_a_description_from_before_there_were_ports_reads_as_one_without(tmp_path: Path) -> None:
    SPEC.save(tmp_path / "d.json")
    document = json.loads((tmp_path / "d.json").read_text())
    for role in document["roles"].values():
        for name in ("first_port", "host", "ready_path"):
            del role[name]
    (tmp_path / "d.json").write_text(json.dumps(document))
    assert DeploymentSpec.load(tmp_path / "d.json") == SPEC
