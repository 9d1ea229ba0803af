"""One frontend and processor on the first node, a worker on each other one.

    python examples/multi_node/run.py "Hello World"

uses three addresses of this machine as nodes. On real nodes, give theirs and the way to run a
command there; README.md has an example.
"""

import argparse
import asyncio
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from runtime import DistributedRuntime, RuntimeConfig
from runtime.servers import etcd_command, free_port, nats_command

HERE = Path(__file__).parent
PATIENCE = 20.0


class Nodes:
    """Starts commands on nodes and ends them all on leaving."""

    def __init__(self, addresses: list[str], enter: str, logs: Path) -> None:
        self.addresses = addresses
        self._enter = enter
        self._logs = logs
        self._running = ExitStack()

    def __enter__(self) -> "Nodes":
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def start(self, node: int, command: list[str], **env: str) -> None:
        """Run *command* on *node*, counted from 1, until the end."""
        assignments = [f"{name}={value}" for name, value in {"PYTHONPATH": HERE, **env}.items()]
        whole = [*shlex.split(self._enter.format(n=node)), "env", *assignments, *command]
        with (self._logs / f"node{node}.log").open("ab") as log:
            process = subprocess.Popen(whole, start_new_session=True, stdout=log, stderr=log)
        self._running.callback(self._stop, process)

    @staticmethod
    def _stop(process: "subprocess.Popen[bytes]") -> None:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=PATIENCE)


def start(nodes: Nodes, folder: Path, router: str) -> str:
    """Start everything and return the URL to ask."""
    first = nodes.addresses[0]
    etcd, nats, http = free_port(), free_port(), free_port()
    data = {"data_dir": folder / "etcd", "client_port": etcd, "peer_port": free_port()}
    nodes.start(1, etcd_command(**data, host=first))
    nodes.start(1, nats_command(data_dir=folder / "nats", port=nats, host=first))
    wait_for(f"http://{first}:{etcd}/health")
    common = ["--store", f"etcd://{first}:{etcd}", "--plane", f"nats://{first}:{nats}"]
    env = {"HTTP_HOST": first, "HTTP_PORT": str(http), "ROUTER": router}

    def serve(node: int, *services: str) -> None:
        command = [sys.executable, "-m", "runtime.service", *services, *common]
        own = ["--host", nodes.addresses[node - 1]]
        nodes.start(node, [*command, *own], NODE=f"node{node}", **env)

    workers = range(2, len(nodes.addresses) + 1)
    for node in workers:
        serve(node, "services:Worker")
    # Any order works; workers first, so that the very first prompts are spread over all of them.
    asyncio.run(wait_for_workers(common[1], common[3], count=len(workers)))
    serve(1, "services:Processor", "services:Frontend")
    return f"http://{first}:{http}/generate"


async def wait_for_workers(store: str, plane: str, *, count: int) -> None:
    """Return once *count* workers are registered."""
    config = RuntimeConfig(store_url=store, plane_url=plane)
    async with await DistributedRuntime.connect(config) as runtime:
        client = await runtime.endpoint("Worker", "generate").client()
        await client.wait_for_instances(count, timeout=PATIENCE)


def wait_for(url: str, data: bytes | None = None) -> str:
    """Return the answer of *url*, asked until it gives one."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url, data=data, timeout=5) as response:
                return response.read().decode()
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="+", help="what to ask, twice")
    parser.add_argument("--nodes", nargs="+", default=["127.0.0.1", "127.0.0.2", "127.0.0.3"])
    parser.add_argument("--enter", default="", help="runs a command on node {n}")
    parser.add_argument("--router", choices=["round_robin", "random"], default="round_robin")
    options = parser.parse_args()
    text = " ".join(options.words).encode()
    with (
        tempfile.TemporaryDirectory(prefix="multi-node-") as folder,
        Nodes(options.nodes, options.enter, Path(folder)) as nodes,
    ):
        url = start(nodes, Path(folder), options.router)
        for _ in range(2):
            print(wait_for(url, text), end="", flush=True)


if __name__ == "__main__":
    main()
