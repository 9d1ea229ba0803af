"""What this project adds to vLLM: tokens a second of a vLLM worker behind the frontend, against
vLLM's own OpenAI server with the same model, arguments and environment, as a ratio.

`.venv-vllm/bin/python benchmarks/vllm_overhead.py` keeps both up at once, loads them in turns with
the same closed loop over HTTP, and takes the median of the rounds. The small model's steps take so
little that what is around the engine decides; the large one's are more like those of real models.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.request import urlopen

import numpy as np
import psutil
from results_file import RESULTS, write

from planner.replay.endpoint import Endpoint
from planner.replay.prompts import body
from runtime.servers import etcd_command, free_port, nats_command
from workers.vllm import make_model
from workers.vllm.make_model import Shape

MODELS = {"small": Shape(), "large": Shape(hidden=512, layers=8, heads=8)}
ROUNDS, CONCURRENCY, ISL, OSL = 5, 16, 64, 64
REQUESTS = 128
"""Of a round: the small model answers 32 in less than half a second on a machine of its own."""
READY_SECONDS = 180.0
ENGINE = ("--max-model-len", "1024", "--max-num-seqs", "16", "--kv-cache-memory-bytes", "256M",
          "--enforce-eager")  # fmt: skip
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "TORCH_COMPILE_DISABLE": "1", "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1", "VLLM_HOST_IP": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo",
}  # fmt: skip


class Side:
    """One of the two: its address, and the processes that it consists of, by what they are."""

    def __init__(self, url: str, processes: Mapping[str, "subprocess.Popen[bytes]"]) -> None:
        self.url = url
        self.processes = processes

    def cpu_seconds(self) -> dict[str, float]:
        """Return the CPU time of each process so far; "engine" is what they started."""
        found = {"engine": 0.0}
        for name, process in self.processes.items():
            this = psutil.Process(process.pid)
            found[name] = _seconds(this)
            found["engine"] += sum(_seconds(child) for child in this.children(recursive=True))
        return found


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def running(command: Sequence[str], log: IO[bytes]) -> Iterator["subprocess.Popen[bytes]"]:
    """Run *command* for the time of the block."""
    environment = {**os.environ, **ENVIRONMENT}
    with subprocess.Popen(command, stdout=log, stderr=log, env=environment) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)


def ours(model: Path, stack: ExitStack, log: IO[bytes]) -> Side:
    """Start store, request plane, frontend and one worker."""
    etcd, plane, port = free_port(), free_port(), free_port()
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    store = etcd_command(data_dir=folder / "etcd", client_port=etcd, peer_port=free_port())
    stack.enter_context(running(store, log))
    stack.enter_context(running(nats_command(data_dir=folder / "nats", port=plane), log))
    where = ("--store", f"etcd://127.0.0.1:{etcd}", "--plane", f"nats://127.0.0.1:{plane}")
    python = (sys.executable, "-m")
    started = {
        "worker": (*python, "workers.vllm", "--role", "aggregated", "--name", "aggregated-1",
                   *where, "--model", str(model), "--model-name", "m", "--", *ENGINE),
        "frontend": (*python, "runtime.frontend", "--port", str(port), *where),
    }  # fmt: skip
    processes = {n: stack.enter_context(running(c, log)) for n, c in started.items()}
    return Side(f"http://127.0.0.1:{port}", processes)


def plain(model: Path, stack: ExitStack, log: IO[bytes]) -> Side:
    """Start vLLM's own server."""
    port = free_port()
    command = (sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model),
               "--served-model-name", "m", "--host", "127.0.0.1", "--port", str(port),
               *ENGINE)  # fmt: skip
    return Side(f"http://127.0.0.1:{port}", {"server": stack.enter_context(running(command, log))})


def wait_ready(side: Side) -> None:
    """Return once it lists the model. Raises RuntimeError for one that does not come up."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if any(process.poll() is not None for process in side.processes.values()):
            break
        try:
            with urlopen(f"{side.url}/v1/models", timeout=1) as response:
                if json.load(response)["data"]:
                    return
        except OSError:
            pass
        time.sleep(0.2)
    raise RuntimeError(f"{side.url} did not come up")


async def one_round(side: Side, seed: int) -> dict[str, float]:
    """Return tokens a second of one closed loop, and the CPU time of each process a token."""
    rng = np.random.default_rng(seed)
    bodies = iter([body(ISL, OSL, model="m", rng=rng) for _ in range(REQUESTS)])
    tokens = 0
    async with Endpoint(side.url) as endpoint:

        async def client() -> None:
            nonlocal tokens
            for payload in bodies:
                tokens += (await endpoint.complete(payload)).tokens

        before, began = side.cpu_seconds(), time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(CONCURRENCY):
                group.create_task(client())
        seconds = time.perf_counter() - began
    spent = {name: at - before[name] for name, at in side.cpu_seconds().items()}
    return {
        "tokens_per_second": tokens / seconds,
        **{f"{name}_cpu_us_per_token": each / tokens * 1e6 for name, each in spent.items()},
    }


def compare(shape: Shape, log: IO[bytes], *, rounds: int) -> dict[str, Any]:
    """Return the medians of both sides, and of the ratios of two rounds after one another."""
    with ExitStack() as stack:
        model = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "model"
        make_model.write(model, shape)
        sides = {"ours": ours(model, stack, log), "plain": plain(model, stack, log)}
        for side in sides.values():
            wait_ready(side)
            asyncio.run(one_round(side, 0))  # warm
        found: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
        for number in range(1, rounds + 1):
            names = list(sides) if number % 2 else list(reversed(sides))
            for name in names:
                found[name].append(asyncio.run(one_round(sides[name], number)))
            speeds = {name: round(each[-1]["tokens_per_second"]) for name, each in found.items()}
            print(number, speeds, flush=True)
    pairs = zip(found["ours"], found["plain"], strict=True)
    ratios = [own["tokens_per_second"] / other["tokens_per_second"] for own, other in pairs]
    medians = {name: _medians(each) for name, each in found.items()}
    return {
        "hidden": shape.hidden,
        "layers": shape.layers,
        "step_ms": round(CONCURRENCY / medians["plain"]["tokens_per_second"] * 1e3, 1),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_of_each_pair": [round(ratio, 3) for ratio in ratios],
        **medians,
    }


def _medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(r[name] for r in rounds), 1) for name in rounds[0]}


def main() -> None:
    """Measure and write results/vllm_overhead.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--models", nargs="+", choices=tuple(MODELS), default=tuple(MODELS))
    parser.add_argument("--out", type=Path, default=RESULTS / "vllm_overhead.json")
    parser.add_argument("--log", type=Path, default=Path(os.devnull))
    given = parser.parse_args()
    with given.log.open("wb") as log:
        found = {name: compare(MODELS[name], log, rounds=given.rounds) for name in given.models}
    load = {"load_average": os.getloadavg()}
    settings = {**load, "isl": ISL, "osl": OSL, "concurrency": CONCURRENCY, "requests": REQUESTS}
    write(given.out, {**settings, "rounds": given.rounds, "models": found})


if __name__ == "__main__":
    main()
