"""Fixtures that every suite shares."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from real_cluster import RealCluster, running_cluster

from runtime.servers import LOOPBACK, etcd_command, free_port, nats_command, wait_port

START_SECONDS = 15.0

# Machines are slow at times, which is no property of the code. The CI tries the same examples
# every time, so that a change is judged by what it changed; everybody else explores.
settings.register_profile("explore", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "explore")

# The server dies with this process, however that ends.
_TIED = (
    "import ctypes, os, sys;"
    f"ctypes.CDLL(None).prctl(1, {signal.SIGKILL:d});"
    "os.execv(sys.argv[1], sys.argv[1:])"
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a real kube-apiserver unless it is asked for: it is built at first."""
    if "kubernetes" in (config.option.markexpr or ""):
        return
    left = [item for item in items if item.get_closest_marker("kubernetes")]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


class LocalServer:
    """An etcd or nats-server of our own: it can be killed and started again on its data."""

    def __init__(self, *, url: str, port: int, command: list[str], log: Path) -> None:
        self.url = url
        self.port = port
        self._command = command
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        self._process = self._spawn()
        await wait_port(LOOPBACK, self.port, START_SECONDS)

    def kill(self) -> None:
        """Kill it as kill -9 does; a server that is not running stays so."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=START_SECONDS)
            self._process = None

    def send_signal(self, number: signal.Signals) -> None:
        """Send *number*, to stop it for a while."""
        assert self._process is not None
        self._process.send_signal(number)

    def _spawn(self) -> "subprocess.Popen[bytes]":
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-S", "-E", "-c", _TIED, *self._command],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )


def _etcd(folder: Path) -> LocalServer:
    port = free_port()
    command = etcd_command(data_dir=folder / "data", client_port=port, peer_port=free_port())
    return LocalServer(
        url=f"etcd://{LOOPBACK}:{port}", port=port, command=command, log=folder / "log"
    )


def _nats(folder: Path) -> LocalServer:
    port = free_port()
    command = nats_command(data_dir=folder / "data", port=port)
    return LocalServer(
        url=f"nats://{LOOPBACK}:{port}", port=port, command=command, log=folder / "log"
    )


def _running(make: Callable[[Path], LocalServer], folder: Path) -> Iterator[LocalServer]:
    server = make(folder)
    try:
        asyncio.run(server.start())
        yield server
    finally:
        server.kill()


@pytest.fixture(autouse=True, scope="session")
def _no_implicit_event_loop() -> None:
    # Python 3.11: a synchronous test before an asynchronous one would leave an implicit loop
    # behind, which ends a green run with an unclosed-socket warning.
    asyncio.set_event_loop(None)


@pytest.fixture(autouse=True)
def _log_levels() -> Iterator[None]:
    """Give each test the levels that a process starts with: the program's -v and run move them."""
    loggers = logging.getLogger(), logging.getLogger("planner")
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture(scope="session")
def etcd_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """One etcd for the whole run; tests keep apart by the keys they use and leave it running."""
    yield from _running(_etcd, tmp_path_factory.mktemp("etcd"))


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """One nats-server for the whole run; tests keep apart by the names they use."""
    yield from _running(_nats, tmp_path_factory.mktemp("nats"))


@pytest.fixture
def own_etcd(tmp_path: Path) -> Iterator[LocalServer]:
    """An etcd for one test alone, to be killed and started again."""
    folder = tmp_path / "etcd"
    folder.mkdir()
    yield from _running(_etcd, folder)


@pytest.fixture
def own_nats(tmp_path: Path) -> Iterator[LocalServer]:
    """A nats-server for one test alone, to be killed and started again."""
    folder = tmp_path / "nats"
    folder.mkdir()
    yield from _running(_nats, folder)


@pytest.fixture(scope="session")
def real_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """A kube-apiserver with its controllers; tests keep apart by namespaces."""
    with running_cluster(tmp_path_factory.mktemp("kubernetes")) as cluster:
        yield cluster
