"""`planner run --connector kubernetes` as a process, on a fake API server and on a real one."""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from fake_cluster.kubelet import FakeKubelet
from fake_cluster.objects import workload
from fake_cluster.running import api_of, fake_api_server
from fake_prometheus import FakePrometheus, fake_prometheus
from manifests import apply, manifests
from planners import spawn_planner
from real_cluster import RealCluster
from vllm_page import vllm_page

from connectors.kubernetes.api import Api, ApiRefused
from connectors.kubernetes.kinds import DEPLOYMENTS, LEASES, PODS
from planner.core.role import Role
from planner.journal import Journal

KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{{name: t, cluster: {{server: "{url}"}}}}]
users: [{{name: planner, user: {{}}}}]
contexts: [{{name: planner, context: {{cluster: t, user: planner}}}}]
current-context: planner
"""
FLAGS = (
    "--sla=ttft=1s", "--mode=load", "--interval=300ms", "--cold-start=1s", "--stabilization=1s",
    "--max=aggregated=3", "--connector=kubernetes", "--deployment=test", "--kube-context=planner",
)  # fmt: skip


@dataclass
class Stage:
    """A namespace with servers of which each has *waiting* requests, and planners beside it."""

    api: Api
    namespace: str
    kubeconfig: Path
    folder: Path
    waiting: int = 0
    planners: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def page(self, _: web.Request) -> web.Response:
        return web.Response(text=vllm_page(running=1, waiting=self.waiting))

    async def planner(self, *flags: str, command: str = "run") -> asyncio.subprocess.Process:
        state = self.folder / f"state-{len(self.planners)}"
        state.mkdir()
        process = await spawn_planner(
            "-v", command, *FLAGS, *flags,
            f"--state-dir={state}", f"--kube-namespace={self.namespace}",
            kubeconfig=self.kubeconfig, folder=self.folder, log=state / "log",
        )  # fmt: skip
        self.planners.append(process)
        return process

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("state-*/log")))

    async def told(self, text: str, *, by: int = 0) -> None:
        """Wait until planner number *by* has logged *text*."""
        log = self.folder / f"state-{by}" / "log"
        async with asyncio.timeout(30):
            while text not in log.read_text():  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def replicas(self) -> int:
        item = await self.api.get(DEPLOYMENTS.path(self.namespace, "aggregated"))
        count: int = item["spec"]["replicas"]
        return count

    async def until(self, condition: Callable[[int], bool], *, seconds: float = 30) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not condition(await self.replicas()):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        except TimeoutError:
            pytest.fail(f"{await self.replicas()} replicas\n{self.logs()[-4000:]}")

    async def holder(self) -> str:
        lease = await self.api.get(LEASES.path(self.namespace, "planner-test"))
        identity: str = lease["spec"]["holderIdentity"]
        return identity

    async def leader(self) -> asyncio.subprocess.Process:
        pid = int((await self.holder()).split("-")[-2])
        return next(one for one in self.planners if one.pid == pid)


@asynccontextmanager
async def on_stage(
    api: Api, namespace: str, kubeconfig: Path, folder: Path
) -> AsyncIterator[Stage]:
    stage = Stage(api, namespace, kubeconfig, folder)
    app = web.Application()
    app.router.add_get("/metrics", stage.page)
    runner = web.AppRunner(app)
    await runner.setup()
    kubelet = FakeKubelet(api, namespace)
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        await kubelet.start()
        notes = {"planner/metrics-url": f":{runner.addresses[0][1]}"}
        item = workload("Deployment", "aggregated", replicas=1, notes=notes)
        await api.create(DEPLOYMENTS.path(namespace), item)
        yield stage
    finally:
        for one in stage.planners:
            if one.returncode is None:
                one.kill()
            await one.wait()
        await kubelet.close()
        await runner.cleanup()


@pytest.fixture(
    params=[
        pytest.param("fake", marks=pytest.mark.e2e),
        pytest.param("apiserver", marks=pytest.mark.kubernetes),
    ]
)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        if request.param == "fake":
            server = await stack.enter_async_context(fake_api_server())
            api = await stack.enter_async_context(api_of(server))
            kubeconfig, namespace = tmp_path / "kubeconfig", "ns"
            kubeconfig.write_text(KUBECONFIG.format(url=server.url))
        else:
            cluster: RealCluster = request.getfixturevalue("real_cluster")
            api = await stack.enter_async_context(cluster.api())
            namespace, kubeconfig = await cluster.namespace(api), cluster.kubeconfig
            await apply(api, namespace, "rbac.yaml", user="planner")
        yield await stack.enter_async_context(on_stage(api, namespace, kubeconfig, tmp_path))


async def test_replicas_follow_the_load(stage: Stage) -> None:
    stage.waiting = 40
    planner = await stage.planner()
    await stage.until(lambda count: count == 3)
    stage.waiting = 0
    await stage.until(lambda count: count == 1)
    planner.send_signal(signal.SIGTERM)

    assert await planner.wait() == 0
    assert "planner ACTS on deployment test on Kubernetes" in stage.logs()
    assert await stage.holder() == ""  # handed over


async def test_who_only_observes_writes_nothing(stage: Stage) -> None:
    stage.waiting = 40
    await stage.planner("--observe")
    await stage.told("observed only, nothing scaled")

    assert await stage.replicas() == 1
    with pytest.raises(ApiRefused, match="404"):
        await stage.holder()


async def test_a_plan_is_made_without_a_lease(stage: Stage) -> None:
    stage.waiting = 40
    planner = await stage.planner("--window=1s", command="plan")

    assert await planner.wait() == 0
    assert "aggregated" in stage.logs()
    with pytest.raises(ApiRefused, match="404"):
        await stage.holder()


async def test_another_planner_takes_over_from_one_that_was_killed(stage: Stage) -> None:
    stage.waiting = 40
    await stage.planner()
    await stage.until(lambda count: count == 3)
    for number in (1, 2):
        await stage.planner()
        await stage.told("decision id=", by=number)
        before, first = await stage.holder(), await stage.leader()
        first.kill()
        async with asyncio.timeout(20):
            while await stage.holder() == before:
                assert await stage.replicas() == 3  # nobody shrinks on what he has not seen
                await asyncio.sleep(0.1)
    stage.waiting = 0
    await stage.until(lambda count: count == 1)


async def scraping(fake: FakePrometheus, stage: Stage, *, waiting: int) -> None:
    """Scrape the pods that are there, of which each is said to have *waiting* requests."""
    while True:
        fake.now += 0.1
        for pod in (await stage.api.get(PODS.path(stage.namespace)))["items"]:
            page = vllm_page(running=1, waiting=waiting)
            name = pod["metadata"]["name"]
            fake.scrape(page, namespace=stage.namespace, pod=name, instance=f"{name}:8000")
        await asyncio.sleep(0.1)


async def test_pods_are_found_in_a_prometheus_by_their_names(stage: Stage) -> None:
    stage.waiting = 0  # as they would say themselves
    async with fake_prometheus() as fake:
        scrapes = asyncio.create_task(scraping(fake, stage, waiting=40))
        await stage.planner(f"--prometheus={fake.url}")
        await stage.until(lambda count: count == 3)
        fake.extra = {"warnings": ["a store is away"]}
        await stage.told("answers in part: a store is away")
        assert await stage.replicas() == 3
        scrapes.cancel()
    assert f'namespace="{stage.namespace}",pod=~"aggregated' in fake.asked[-1]


async def test_a_new_planner_goes_on_from_what_the_last_one_knew(stage: Stage) -> None:
    stage.waiting = 40
    first = await stage.planner()
    await stage.until(lambda count: count == 3)
    await stage.told("decision id=5")
    await asyncio.sleep(3)  # the Lease is renewed, with what is known by then
    first.kill()
    await stage.planner()
    await stage.told("goes on from what another planner left", by=1)
    await stage.told("decision id=1", by=1)
    with Journal.read(stage.folder / "state-1" / "journal.sqlite") as journal:
        (run,) = journal.runs()

    assert run.initial_state.role(Role.AGGREGATED).needs  # what there was to stabilize


async def test_a_deployment_that_is_not_there_is_told(stage: Stage) -> None:
    planner = await stage.planner("--deployment=other")

    assert await planner.wait() == 2
    assert "nothing has the labels planner/deployment=other and planner/role" in stage.logs()


@pytest.mark.kubernetes
async def test_its_rights_reach_as_far_as_its_work(real_cluster: RealCluster) -> None:
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(real_cluster.api())
        namespace = await real_cluster.namespace(admin)
        await apply(admin, namespace)
        account = real_cluster.api_of_account(admin, namespace, "planner")
        planner = await stack.enter_async_context(account)
        item = workload("Deployment", "decode", replicas=1)
        await admin.create(path := DEPLOYMENTS.path(namespace), item)
        await planner.patch(f"{path}/decode/scale", {"spec": {"replicas": 2}})
        core = f"/api/v1/namespaces/{namespace}"
        for refused in (
            planner.patch(f"{path}/decode", {"spec": {"replicas": 3}}),
            planner.delete(f"{path}/decode"),
            planner.create(path, workload("Deployment", "more", replicas=1)),
            planner.delete(PODS.path(namespace, "any")),
            planner.get(f"{core}/secrets"),
            planner.get(f"{core}/configmaps"),
            planner.get("/api/v1/nodes"),
            planner.get(DEPLOYMENTS.path("default")),
            planner.delete(LEASES.path(namespace, "planner-test")),
        ):
            with pytest.raises(ApiRefused, match="403"):
                await refused


@pytest.mark.kubernetes
async def test_the_server_lists_no_right_that_the_manifests_do_not(
    real_cluster: RealCluster,
) -> None:
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(real_cluster.api())
        namespace = await real_cluster.namespace(admin)
        await apply(admin, namespace, "rbac.yaml")
        account = real_cluster.api_of_account(admin, namespace, "planner")
        planner = await stack.enter_async_context(account)
        path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
        review = await planner.create(path, {"spec": {"namespace": namespace}})
    (role,) = (one for one in manifests("rbac.yaml") if one["kind"] == "Role")

    own = {("authorization.k8s.io", f"selfsubject{what}reviews") for what in ("access", "rules")}
    told = rights(review["status"]["resourceRules"])
    assert told - {(*one, "create") for one in own} == rights(role["rules"])


def rights(rules: list[dict[str, list[str]]]) -> set[tuple[str, str, str]]:
    """Return what *rules* allow: group, resource and verb."""
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.mark.kubernetes
@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not here")
async def test_what_kubectl_sets_by_hand_is_gone_on_from(
    real_cluster: RealCluster, tmp_path: Path
) -> None:
    """The load asks for one replica: three by hand are taken back one by one, not at once."""
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(real_cluster.api())
        namespace = await real_cluster.namespace(api)
        await apply(api, namespace, "rbac.yaml", user="planner")
        stage = await stack.enter_async_context(
            on_stage(api, namespace, real_cluster.kubeconfig, tmp_path)
        )
        await stage.planner()
        await stage.told("decision id=")
        await kubectl(stage, "scale", "deployment/aggregated", "--replicas=3")
        await stage.told("replicas set by others role=aggregated from=1 to=3")
        await stage.until(lambda count: count == 1)
        said = await kubectl(stage, "get", "deployment/aggregated", "-o", "yaml")

    assert "replicas: 1" in said
    assert "set 3 replicas where 1 were" not in stage.logs()


async def kubectl(stage: Stage, *words: str) -> str:
    """Return what kubectl says to *words*, as the administrator."""
    process = await asyncio.create_subprocess_exec(
        "kubectl", f"--kubeconfig={stage.kubeconfig}", "--context=admin",
        f"--namespace={stage.namespace}", *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()
