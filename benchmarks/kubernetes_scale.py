"""One planner for a thousand deployments on Kubernetes: its requests, CPU and memory.

`python benchmarks/kubernetes_scale.py` prints Markdown and writes results/kubernetes_scale.json.
The planner is the command `planner run --deployments` in a process of its own, which reads a page
of metrics of every pod; the API server is the one of the tests, where pods are ready as soon as
they are there. `--deployments N` and `--interval 15s` change the size.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing import Array, Pipe, Process
from pathlib import Path
from typing import Any

from aiohttp import web
from results_file import RESULTS, write

from planner.core.units import parse_duration

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

from fake_cluster.objects import workload  # noqa: E402 - found by the line above
from fake_cluster.server import FakeApiServer  # noqa: E402
from fake_cluster.store import Change  # noqa: E402
from planners import spawn_planner  # noqa: E402
from vllm_page import vllm_page  # noqa: E402

NAMESPACE = "ns"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
WORKLOADS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
ROLES = ("prefill", "decode")
CALM, BUSY = 0.5, 1.7
"""Work, in replicas that it fills to the threshold: one is enough, or two are."""
FULL = 0.8
CHANGED_SHARE = 0.1
FLAGS = (
    "--sla=ttft=1s,itl=50ms", "--mode=load", "--cold-start=1s", "--stabilization=1s",
    "--metrics-timeout=5s", "--connector=kubernetes", "--kube-context=t",
    f"--kube-namespace={NAMESPACE}",
)  # fmt: skip
KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{{name: t, cluster: {{server: "{url}"}}}}]
users: [{{name: t, user: {{}}}}]
contexts: [{{name: t, context: {{cluster: t, user: t}}}}]
current-context: t
"""


@dataclass
class Town:
    """Deployments on the tests' API server. Pods are ready at once, each at an address of its own.

    Those that are *busy* have more decode work than one replica can do.
    """

    server: FakeApiServer
    port: int = 0
    usage: Sequence[float] = ()
    """Share of its KV blocks that each pod tells, by the number in its address."""
    busy: set[str] = field(default_factory=set)
    _numbers: dict[str, list[int]] = field(default_factory=dict)
    _given: int = 0

    def build(self, count: int) -> None:
        """Create *count* deployments of two roles, with one replica each."""
        for number in range(count):
            for role in ROLES:
                notes = {"planner/metrics-url": f":{self.port}"}
                item = workload(
                    "Deployment", role, replicas=1, deployment=f"d{number}", notes=notes
                )
                item["metadata"]["name"] = f"d{number}-{role}"
                self.server.store.create(WORKLOADS, item)

    def see(self, change: Change) -> None:
        """Take a pod in, or see it off, as a kubelet with nothing to wait for."""
        if change.path == PODS and change.after is not None:
            asyncio.get_running_loop().call_soon(self._run, change.after["metadata"]["name"])

    def _run(self, name: str) -> None:
        pod = self.server.store.objects.get((PODS, name))
        if pod is None:
            return
        if "deletionTimestamp" in pod["metadata"]:
            self.server.store.remove(PODS, name)
        elif "podIP" not in pod["status"]:
            ready = [{"type": "Ready", "status": "True"}]
            status = {"phase": "Running", "conditions": ready, "podIP": self._address(pod)}
            spec = {**pod["spec"], "nodeName": "n1"}
            self.server.store.update(PODS, name, {**pod, "spec": spec, "status": status})

    def _address(self, pod: dict[str, Any]) -> str:
        self._given += 1
        labels = pod["metadata"]["labels"]
        if labels["planner/role"] == "decode":
            self._numbers.setdefault(labels["planner/deployment"], []).append(self._given)
        return address(self._given)

    def spread(self) -> None:
        """Have the decode pods tell what each has to do, now that there are so many."""
        for name, numbers in self._numbers.items():
            work = BUSY if name in self.busy else CALM
            for number in numbers:
                usage = FULL * work / self.replicas(name, "decode")
                self.usage[number] = min(1.0, usage)  # type: ignore[index]

    def replicas(self, name: str, role: str) -> int:
        """Return how many replicas are asked for."""
        count: int = self.server.store.objects[WORKLOADS, f"{name}-{role}"]["spec"]["replicas"]
        return count


def address(number: int) -> str:
    """Return the pod's *number* as an address of this machine."""
    return f"127.{number // 62500 + 1}.{number // 250 % 250}.{number % 250 + 1}"


def serve_pages(usage: Sequence[float], port: Any) -> None:
    """Answer for every pod, in a process of its own; *port* is sent where."""

    async def page(request: web.Request) -> web.Response:
        assert request.transport is not None
        _, *parts = map(int, request.transport.get_extra_info("sockname")[0].split("."))
        number = (parts[0] - 1) * 62500 + parts[1] * 250 + parts[2] - 1
        return web.Response(text=vllm_page(running=5, usage=usage[number]))

    async def serve() -> None:
        app = web.Application()
        app.router.add_get("/metrics", page)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "0.0.0.0", 0).start()
        port.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(serve())


@dataclass(frozen=True, slots=True)
class Stretch:
    """What happened in some time: requests to the API server, and CPU seconds of the planner."""

    seconds: float
    cpu_seconds: float
    lease: int
    watches: int
    scales: int
    marks: int
    others: int


class Measure:
    """Counts from `begin` on."""

    def __init__(self, server: FakeApiServer, pid: int) -> None:
        self._server = server
        self._pid = pid
        self._clock = asyncio.get_running_loop().time
        self.begin()

    def begin(self) -> None:
        """Forget what was counted."""
        self._server.log.clear()
        self._at, self._cpu = self._clock(), _cpu_seconds(self._pid)

    def end(self) -> Stretch:
        """Return what was counted."""
        log = self._server.log
        lease = sum("/leases" in path for _, path in log)
        watches = sum("watch=1" in path for _, path in log)
        scales = sum(path.endswith("/scale") for _, path in log)
        marks = sum(verb == "PATCH" and path.startswith(PODS) for verb, path in log)
        return Stretch(
            seconds=self._clock() - self._at,
            cpu_seconds=_cpu_seconds(self._pid) - self._cpu,
            lease=lease,
            watches=watches,
            scales=scales,
            marks=marks,
            others=len(log) - lease - watches - scales - marks,
        )


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


async def measured(count: int, interval: str, folder: Path) -> dict[str, Any]:
    """Return the figures of one planner on *count* deployments."""
    every = parse_duration(interval, what="--interval", hint="15s")
    async with AsyncExitStack() as stack:
        town = await stack.enter_async_context(_town(count))
        pid = await stack.enter_async_context(_planner(town, interval, folder))
        measure = Measure(town.server, pid)
        log = folder / "log"
        await _until(lambda: log.read_text().count("decision deployment=") >= count, 40 * every)
        start = measure.end()
        await asyncio.sleep(2 * every)
        measure.begin()
        await asyncio.sleep(4 * every)
        calm = measure.end()
        changed = {f"d{n}" for n in range(round(count * CHANGED_SHARE))}

        def have(replicas: int) -> bool:
            town.spread()
            return all(town.replicas(name, "decode") == replicas for name in changed)

        town.busy = changed
        measure.begin()
        await _until(lambda: have(2), 20 * every)
        await asyncio.sleep(every)
        grown = measure.end()
        town.busy = set()
        measure.begin()
        await _until(lambda: have(1), 20 * every)
        await asyncio.sleep(every)
        shrunk = measure.end()
        return {
            "deployments": count,
            "pods": 2 * count,
            "interval": interval,
            "changed": len(changed),
            "start": _plain(start),
            "unchanged": _plain(calm),
            "grown": _plain(grown),
            "shrunk": _plain(shrunk),
            "memory_mib": round(_memory_mib(pid), 1),
        }


def _plain(stretch: Stretch) -> dict[str, float]:
    return {name: round(getattr(stretch, name), 2) for name in Stretch.__slots__}


@asynccontextmanager
async def _town(count: int) -> AsyncIterator[Town]:
    usage = Array("d", [FULL * CALM] * (4 * count + 1), lock=False)
    here, there = Pipe()
    pages = Process(target=serve_pages, args=(usage, there), daemon=True)
    pages.start()
    server = FakeApiServer()
    town = Town(server, port=here.recv(), usage=usage)
    server.store.listeners.append(town.see)
    try:
        await server.start()
        town.build(count)
        pods = 2 * count
        await _until(lambda: sum(p == PODS for p, _ in server.store.objects) == pods, 300)
        yield town
    finally:
        await server.close()
        pages.kill()


@asynccontextmanager
async def _planner(town: Town, interval: str, folder: Path) -> AsyncIterator[int]:
    (folder / "kubeconfig").write_text(KUBECONFIG.format(url=town.server.url))
    (folder / "deployments.toml").write_text('["*"]\n')
    process = await spawn_planner(
        "run", *FLAGS, f"--interval={interval}", f"--deployments={folder / 'deployments.toml'}",
        f"--state-dir={folder / 'state'}",
        kubeconfig=folder / "kubeconfig", folder=folder, log=folder / "log",
    )  # fmt: skip
    try:
        yield process.pid
    finally:
        process.terminate()
        await process.wait()


async def _until(condition: Callable[[], bool], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - files and counts have no event
            await asyncio.sleep(0.5)


def _table(figures: dict[str, Any]) -> str:
    calm, grown, shrunk = figures["unchanged"], figures["grown"], figures["shrunk"]
    count = figures["changed"]
    cells = (
        calm["scales"] + calm["marks"] + calm["others"],
        f"{(grown['scales'] + grown['others']) / count:.2f}",
        f"{(shrunk['scales'] + shrunk['marks'] + shrunk['others']) / count:.2f}",
        f"{60 * (calm['lease'] + calm['watches']) / calm['seconds']:.0f}",
        f"{100 * calm['cpu_seconds'] / calm['seconds']:.0f} %",
        f"{figures['memory_mib']:.0f} MiB",
    )
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    """Measure, print a row, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deployments", type=int, default=1000)
    parser.add_argument("--interval", default="15s")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            figures = asyncio.run(measured(asked.deployments, asked.interval, Path(folder)))
        except TimeoutError:
            sys.exit((Path(folder) / "log").read_text()[-4000:])
    print(_table(figures))
    write(RESULTS / "kubernetes_scale.json", figures)


if __name__ == "__main__":
    main()
