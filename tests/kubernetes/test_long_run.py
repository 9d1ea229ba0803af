"""Twenty minutes of two models, compressed, while the planner that acts is killed again and again.

A second of the test stands for ten: turns, cold start, stabilization and the load are ten times as
fast as usual. Leases are not: another planner may act 15 s after the last one was heard of.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from audited import Asked, read_audit
from fake_cluster.kubelet import FakeKubelet
from fake_cluster.objects import workload
from manifests import apply
from planners import spawn_planner
from real_cluster import RIVALS, RealCluster
from vllm_page import vllm_page
from witness import Witness

from connectors.kubernetes.api import Api, ApiFault
from connectors.kubernetes.kinds import DEPLOYMENTS, LEASES

pytestmark = pytest.mark.kubernetes

STAGE_SECONDS = 36.0
LONGEST_SECONDS = 90.0  # for a stage on a machine that has much else to do
KILL_AFTER, KILL_EVERY = 15.0, 30.0
GAP_SECONDS = 20.0
BUDGET = 6
# Replicas' worth of work of prefill and decode; the third is more than the GPUs of `code` can do.
STAGES: tuple[Mapping[str, tuple[float, float]], ...] = (
    {"chat": (1.0, 3.8), "code": (0.5, 0.5)},
    {"chat": (3.8, 1.0), "code": (2.8, 2.8)},
    {"chat": (0.5, 0.5), "code": (4.5, 2.5)},
    {"chat": (2.0, 2.0), "code": (0.5, 0.5)},
)
ROLES = ("prefill", "decode")
FULL = 0.8  # of its KV blocks: what one replica's worth of work fills of one replica
SETTINGS = """\
[chat]
max_gpus = 6
["*"]
max_gpus = 6
"""
FLAGS = (
    "--sla=ttft=1s", "--mode=load", "--interval=500ms", "--cold-start=3s", "--stabilization=2s",
    "--max=prefill=6", "--max=decode=6", "--connector=kubernetes",
)  # fmt: skip


@dataclass
class Load:
    """The work that there is at the stage *now*, spread over the pods that are ready."""

    kubelet: FakeKubelet
    now: Mapping[str, tuple[float, float]]

    async def page(self, request: web.Request) -> web.Response:
        """Answer as the engine in the pod that has the address asked for."""
        assert request.transport is not None
        pod = self.kubelet.addresses[request.transport.get_extra_info("sockname")[0]]
        labels = pod["metadata"]["labels"]
        work = self.now[labels["planner/deployment"]][ROLES.index(labels["planner/role"])]
        usage = min(1.0, FULL * work / max(1, self._sharing(labels)))
        return web.Response(text=vllm_page(running=round(10 * usage), usage=usage))

    def _sharing(self, labels: Mapping[str, str]) -> int:
        return sum(
            pod["metadata"]["labels"] == labels
            and "deletionTimestamp" not in pod["metadata"]
            and pod["status"]["phase"] == "Running"
            for pod in self.kubelet.pods
        )


@dataclass
class Rivals:
    """One planner of each name, started again as soon as it was killed, with nothing it knew."""

    kubeconfig: Path
    namespace: str
    folder: Path
    running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    killed: list[tuple[float, int]] = field(default_factory=list)
    """When, and which process."""
    lives: int = 0

    async def begin(self, name: str) -> None:
        self.lives += 1
        home = self.folder / f"life-{self.lives}"
        home.mkdir()
        self.running[name] = await spawn_planner(
            "run", *FLAGS, f"--deployments={self.folder / 'deployments.toml'}",
            f"--kube-context={name}", f"--kube-namespace={self.namespace}", f"--state-dir={home}",
            kubeconfig=self.kubeconfig, folder=home, log=home / "log",
        )  # fmt: skip

    async def kill(self, name: str) -> None:
        process = self.running[name]
        self.killed.append((time.time(), process.pid))
        process.kill()
        assert await process.wait() == -signal.SIGKILL  # it ran until then
        await self.begin(name)

    async def end(self) -> None:
        for process in self.running.values():
            if process.returncode is None:
                process.kill()
            await process.wait()

    def logs(self) -> str:
        tails = (f"{path}\n{path.read_text()[-2500:]}" for path in self.folder.glob("life-*/log"))
        return "\n".join(tails)


@dataclass
class Run:
    """What there is to judge by at the end."""

    witness: Witness
    rivals: Rivals
    asked: list[Asked]
    settled: list[Mapping[tuple[str, str], int]]
    """Replicas by deployment and role at the end of each stage."""
    changed_at: list[float]
    """When each stage began, on the clock of the witness."""


async def deployed(api: Api, namespace: str, port: int) -> None:
    for name in ("chat", "code"):
        for role in ROLES:
            notes = {"planner/metrics-url": f":{port}"}
            item = workload("Deployment", role, replicas=1, deployment=name, notes=notes)
            item["metadata"]["name"] = f"{name}-{role}"
            await api.create(DEPLOYMENTS.path(namespace), item)


async def permitted(api: Api, namespace: str) -> None:
    """Give both rivals what the manifests give the planner."""
    await apply(api, namespace, "rbac.yaml", user=RIVALS[0])
    group = "rbac.authorization.k8s.io"
    binding = {
        "metadata": {"name": "second"},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "planner"},
        "subjects": [{"kind": "User", "name": RIVALS[1], "apiGroup": group}],
    }
    await api.create(f"/apis/{group}/v1/namespaces/{namespace}/rolebindings", binding)


async def leader(api: Api, namespace: str, rivals: Rivals) -> str:
    """Return which of them holds the Lease, once one that runs does."""
    async with asyncio.timeout(GAP_SECONDS + 10):
        while True:
            with suppress(ApiFault):  # it may be slow, where everything is
                lease = await api.get(LEASES.path(namespace, "planner"))
                held = int((lease["spec"]["holderIdentity"] or "-0-").split("-")[-2])
                for name, process in rivals.running.items():
                    if process.pid == held:
                        return name
            await asyncio.sleep(0.2)


async def killing(api: Api, namespace: str, rivals: Rivals) -> None:
    """Kill whoever acts, every so often."""
    due = time.monotonic() + KILL_AFTER
    while True:
        await asyncio.sleep(due - time.monotonic())
        await rivals.kill(await leader(api, namespace, rivals))
        due += KILL_EVERY


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def run(real_cluster: RealCluster, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("rivals")
    (folder / "deployments.toml").write_text(SETTINGS)
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(real_cluster.api())
        namespace = await real_cluster.namespace(api)
        await permitted(api, namespace)
        kubelet = FakeKubelet(api, namespace)
        kubelet.has_addresses, kubelet.start_seconds, kubelet.drain_seconds = True, 1.0, 1.0
        load = Load(kubelet, STAGES[0])
        port = await stack.enter_async_context(serving(load))
        await kubelet.start()
        stack.push_async_callback(kubelet.close)
        await deployed(api, namespace, port)
        witness = Witness(api, namespace)
        await witness.start()
        stack.push_async_callback(witness.close)
        rivals = Rivals(real_cluster.kubeconfig, namespace, folder)
        stack.push_async_callback(rivals.end)
        for name in RIVALS:
            await rivals.begin(name)
        killer = asyncio.create_task(killing(api, namespace, rivals))
        settled, changed_at = [], []
        for stage in STAGES:
            load.now = stage
            changed_at.append(time.monotonic())
            await asyncio.sleep(STAGE_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(LONGEST_SECONDS - STAGE_SECONDS):
                    while problems(stage, witness.replicas):  # noqa: ASYNC110
                        await asyncio.sleep(0.2)
            assert not killer.done(), killer.exception()
            settled.append(dict(witness.replicas))
        killer.cancel()
        await asyncio.gather(killer, return_exceptions=True)
        await rivals.end()
        asked = list(read_audit(real_cluster.audit, namespace))
        return Run(witness, rivals, asked, settled, changed_at)


@asynccontextmanager
async def serving(load: Load) -> AsyncIterator[int]:
    """Yield the port at which every pod's address tells its metrics."""
    app = web.Application()
    app.router.add_get("/metrics", load.page)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "0.0.0.0", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def holders(asked: list[Asked]) -> list[tuple[float, int]]:
    """Return the process that wrote the Lease last, from when on: each change of holder."""
    found: list[tuple[float, int]] = []
    for one in asked:
        if one.what == "leases" and one.is_write and one.succeeded:
            process = int(one.body["spec"]["holderIdentity"].split("-")[-2])
            if not found or found[-1][1] != process:
                found.append((one.at, process))
    return found


def problems(
    stage: Mapping[str, tuple[float, float]], replicas: Mapping[tuple[str, str], int]
) -> list[str]:
    """Return what of *replicas* does not fit the work of *stage*."""
    found = []
    for name, work in stage.items():
        here = [replicas[name, role] for role in ROLES]
        least = [ceil(one / 1.1) for one in work]  # a tenth above is not worth a replica
        if sum(least) > BUDGET:
            found += [f"{name} has {here}"] if sum(here) != BUDGET else []
            continue
        for count, fewest, one in zip(here, least, work, strict=True):
            # Without one of them the others would be fuller than what one is let go for.
            if not (count >= fewest and (count == 1 or one / (count - 1) >= 0.6)):
                found.append(f"{name} has {here}")
    return found


def test_replicas_follow_the_load_in_every_stage(run: Run) -> None:
    for stage, settled in zip(STAGES, run.settled, strict=True):
        assert problems(stage, settled) == [], run.rivals.logs()


@pytest.mark.parametrize("name", ["chat", "code"])
def test_the_budget_holds_at_every_instant(run: Run, name: str) -> None:
    assert 2 < run.witness.most_wanted[name] <= BUDGET
    assert 2 < run.witness.most_pods[name] <= BUDGET  # those that finish are among them


def test_every_change_of_a_number_was_a_write_to_a_scale(run: Run) -> None:
    scaled = [one for one in run.asked if one.what == "deployments/scale" and one.is_write]
    written = [
        (*one.name.split("-"), one.body["spec"]["replicas"]) for one in scaled if one.succeeded
    ]

    assert written == [(*change.key, change.after) for change in run.witness.changes]
    assert len(written) >= 12
    assert all(one.verb == "patch" and one.body["metadata"]["resourceVersion"] for one in scaled)


def test_planners_wrote_nothing_else_and_lacked_no_right(run: Run) -> None:
    others = [one for one in run.asked if one.is_write and one.what != "deployments/scale"]

    assert {(one.what, one.verb) for one in others} <= {
        ("pods", "patch"), ("leases", "create"), ("leases", "update"),
    }  # fmt: skip
    for one in others:
        if one.what == "pods":
            assert one.body.keys() == {"metadata"}
            assert one.body["metadata"].keys() == {"annotations"}
    assert not [one for one in run.asked if one.status in (401, 403)]


def test_only_the_holder_of_the_lease_ever_acted(run: Run) -> None:
    holder = ""
    for one in run.asked:
        if not (one.is_write and one.succeeded):
            continue
        if one.what == "leases":
            holder = one.who
        else:
            assert one.who == holder, one


def test_another_one_acts_within_twenty_seconds_of_a_kill(run: Run) -> None:
    taken = holders(run.asked)
    assert len(run.rivals.killed) >= 4
    for at, process in run.rivals.killed[:-1]:  # the last one's time is cut off by the end
        next_at, its = next(one for one in taken if one[0] > at)
        assert its != process
        assert next_at - at <= GAP_SECONDS


def test_nobody_shrinks_below_the_load_for_what_it_has_not_seen(run: Run) -> None:
    """Every number written is enough for the least load that there was lately."""
    for change in run.witness.changes:
        stage = sum(change.at >= began for began in run.changed_at) - 1
        lately = sum(change.at - 3.0 >= began for began in run.changed_at) - 1
        name, role = change.key
        work = [STAGES[one][name] for one in {stage, max(0, lately)}]
        if change.after < change.before and all(sum(map(ceil, both)) <= BUDGET for both in work):
            least = min(ceil(both[ROLES.index(role)] / 1.1) for both in work)
            assert change.after >= least, (change, work)
