"""A real kube-apiserver with its controller manager: built once into a cache, started for a run.

PLANNER_KUBE_BIN names a folder that has both already.
"""

import itertools
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from connectors.kubernetes.api import Api, open_api
from runtime.servers import LOOPBACK, etcd_command, free_port

_BUILD = Path(__file__).parents[1] / "kubernetes" / "build_apiserver.sh"
_START_SECONDS = 90.0
_BUILD_SECONDS = 1800.0
_NAMESPACES = "/api/v1/namespaces"
RIVALS = ("planner-one", "planner-two")
_TIED = (
    "import ctypes, os, sys;"
    f"ctypes.CDLL(None).prctl(1, {signal.SIGKILL:d});"
    "os.execv(sys.argv[1], sys.argv[1:])"
)


@dataclass
class RealCluster:
    """Its kubeconfig has the contexts ``admin``, and ``planner`` and `RIVALS`, who may do nothing.

    What `RIVALS` and service accounts ask of it is in *audit*.
    """

    kubeconfig: Path
    url: str
    audit: Path
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @asynccontextmanager
    async def api(self, context: str = "admin") -> AsyncIterator[Api]:
        api, _ = await open_api(kubeconfig=self.kubeconfig, context=context)
        try:
            yield api
        finally:
            await api.close()

    @asynccontextmanager
    async def api_of_account(self, admin: Api, namespace: str, name: str) -> AsyncIterator[Api]:
        """Yield the API as the service account *name* has it."""
        from kubernetes.aio import client  # every test run imports this file

        path = f"{_NAMESPACES}/{namespace}/serviceaccounts/{name}/token"
        token = (await admin.create(path, {"spec": {"expirationSeconds": 3600}}))["status"]["token"]
        settings = client.Configuration(host=self.url, api_key={"BearerToken": f"Bearer {token}"})
        settings.verify_ssl = False
        api = Api(client.ApiClient(settings))
        try:
            yield api
        finally:
            await api.close()

    async def namespace(self, api: Api) -> str:
        """Return a new namespace."""
        name = f"t{next(self._numbers)}"
        await api.create(_NAMESPACES, {"metadata": {"name": name}})
        return name


def binaries() -> Path:
    """Return where both programs are, building them if need be; skips the test otherwise."""
    if named := os.environ.get("PLANNER_KUBE_BIN"):
        return Path(named)
    try:
        built = _run([str(_BUILD)], seconds=_BUILD_SECONDS)
    except subprocess.TimeoutExpired:
        pytest.skip(f"kube-apiserver was not built in {_BUILD_SECONDS:.0f} s")
    if built.returncode:
        pytest.skip(f"kube-apiserver cannot be built here: {built.stderr.strip()[-300:]}")
    return Path(built.stdout.strip().splitlines()[-1])


def _run(command: list[str], *, seconds: float) -> "subprocess.CompletedProcess[str]":
    """Run *command*; what it has started ends with it, also when its time is over."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            out, err = process.communicate(timeout=seconds)
        except BaseException:  # an interrupt does not reach its compilers either
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@contextmanager
def running_cluster(folder: Path) -> Iterator[RealCluster]:
    """Start etcd, the API server and the controller manager; they end with the block."""
    programs, started = binaries(), []
    _keys(folder)
    client, port = free_port(), free_port()
    cluster = RealCluster(
        kubeconfig=folder / "kubeconfig",
        url=f"https://{LOOPBACK}:{port}",
        audit=folder / "audit.log",
    )
    _write_kubeconfig(cluster)
    (folder / "audit.json").write_text(json.dumps(_AUDIT))
    try:
        etcd = etcd_command(data_dir=folder / "data", client_port=client, peer_port=free_port())
        started.append(_spawn(folder, "etcd", etcd))
        server = [str(programs / "kube-apiserver"), *_server_flags(folder, client, port)]
        started.append(_spawn(folder, "api", server))
        _wait_ready(cluster.url, folder / "api.log")
        manager = [str(programs / "kube-controller-manager"), *_manager_flags(folder)]
        started.append(_spawn(folder, "controllers", manager))
        yield cluster
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()


def _keys(folder: Path) -> None:
    key, public = folder / "sa.key", folder / "sa.pub"
    for command in (
        ["openssl", "genrsa", "-out", str(key), "2048"],
        ["openssl", "rsa", "-in", str(key), "-pubout", "-out", str(public)],
    ):
        subprocess.run(command, check=True, capture_output=True)
    lines = [
        'admintok,admin,admin,"system:masters"',
        *(f"{name}-token,{name},{name}," for name in ("planner", *RIVALS)),
    ]
    (folder / "tokens.csv").write_text("\n".join([*lines, ""]))


def _write_kubeconfig(cluster: RealCluster) -> None:
    names = ("planner", *RIVALS)
    where = {"server": cluster.url, "insecure-skip-tls-verify": True}
    users = {"admin": "admintok", **{name: f"{name}-token" for name in names}}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "t", "cluster": where}],
        "users": [{"name": name, "user": {"token": token}} for name, token in users.items()],
        "contexts": [{"name": name, "context": {"cluster": "t", "user": name}} for name in users],
        "current-context": "admin",
    }
    cluster.kubeconfig.write_text(json.dumps(document))


def _server_flags(folder: Path, etcd: int, port: int) -> list[str]:
    return [
        f"--etcd-servers=http://{LOOPBACK}:{etcd}", f"--bind-address={LOOPBACK}",
        f"--secure-port={port}", f"--cert-dir={folder / 'certs'}",
        "--service-cluster-ip-range=10.96.0.0/24",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'sa.pub'}",
        f"--service-account-signing-key-file={folder / 'sa.key'}",
        "--authorization-mode=RBAC", f"--token-auth-file={folder / 'tokens.csv'}",
        "--disable-admission-plugins=ServiceAccount", "--endpoint-reconciler-type=none",
        "--allow-privileged=true",
        f"--audit-policy-file={folder / 'audit.json'}", f"--audit-log-path={folder / 'audit.log'}",
    ]  # fmt: skip


def _manager_flags(folder: Path) -> list[str]:
    return [
        f"--kubeconfig={folder / 'kubeconfig'}",
        f"--service-account-private-key-file={folder / 'sa.key'}",
        "--use-service-account-credentials=false", "--leader-elect=false",
        "--controllers=deployment,replicaset,statefulset,garbagecollector,namespace,resourcequota",
        f"--bind-address={LOOPBACK}", f"--secure-port={free_port()}", "--port=0",
        f"--cert-dir={folder / 'certs'}", "--kube-api-qps=200", "--kube-api-burst=400",
    ]  # fmt: skip


def _spawn(folder: Path, name: str, command: list[str]) -> "subprocess.Popen[bytes]":
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", _TIED, *command],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL,
        )  # fmt: skip


def _wait_ready(url: str, log: Path) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    bearer: Mapping[str, str] = {"Authorization": "Bearer admintok"}
    request = urllib.request.Request(f"{url}/readyz", headers=dict(bearer))
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(request, context=context, timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"kube-apiserver is not ready: {log.read_text()[-1000:]}")


_AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "Request", "users": list(RIVALS)},
        {"level": "Request", "userGroups": ["system:serviceaccounts"]},
        {"level": "None"},
    ],
}
