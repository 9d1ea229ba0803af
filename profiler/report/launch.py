"""The chosen configuration as something to start: a command here, a manifest for Kubernetes."""

import json
import re
import shlex
from dataclasses import dataclass

from planner.core.profile import Parallelism
from planner.core.role import Role
from profiler.choose import Choice, Topology

_MOST = 8
"""Decode replicas up to which a ratio is written in whole replicas."""
_CLOSE = 0.15
_IMAGE = "planner:latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What a command needs beside the choice: the profile's file, the engine, the model's folder.

    *model* None is the simulated engine's own. *whole* starts all replicas of the choice, for a
    rate that somebody has; otherwise the fewest in about the same ratio.
    """

    profile: str
    engine: str
    model: str | None = None
    whole: bool = False


def replicas(topology: Topology, *, whole: bool) -> dict[Role, int]:
    """Return the replicas to start: all of *topology*, or the fewest in about its ratio."""
    parts = topology.sizing.roles
    ratio = topology.prefill_per_decode
    if whole:
        return {role: part.replicas for role, part in parts.items()}
    if ratio is None:
        return {Role.AGGREGATED: 1}
    decode = next(
        (n for n in range(1, _MOST) if abs(max(1, round(ratio * n)) / n / ratio - 1) <= _CLOSE),
        _MOST,
    )
    return {Role.PREFILL: max(1, round(ratio * decode)), Role.DECODE: decode}


def serve_command(topology: Topology, choice: Choice, launch: Launch) -> str:
    """Return the `planner serve` command of *topology*."""
    counts = replicas(topology, whole=launch.whole)
    words = ["planner", "serve", f"--profile={launch.profile}", f"--sla={choice.sla}"]
    if launch.model is not None:
        words += [f"--engine={launch.engine}", f"--model={launch.model}"]
    words += [f"--{role}={count}" for role, count in counts.items()]
    words.append("--parallelism=" + _spread(topology.parallelisms))
    return shlex.join(words)


def _spread(parallelisms: dict[Role, Parallelism]) -> str:
    return ",".join(f"{role}={parallelism}" for role, parallelism in parallelisms.items())


def manifest(topology: Topology, launch: Launch, *, name: str) -> str:
    """Return Deployments of the engines of *topology* as YAML, one a role.

    Store, request plane and frontend are those that the cluster has; their addresses come from the
    ConfigMap ``planner``.
    """
    counts = replicas(topology, whole=launch.whole)
    return "---\n".join(
        _deployment(role, count, topology.parallelisms[role], launch, name=name)
        for role, count in counts.items()
    )


def _deployment(
    role: Role, count: int, parallelism: Parallelism, launch: Launch, *, name: str
) -> str:
    is_simulated = launch.engine == "simulated"
    own = f"--profile=/profiles/{name}.json" if is_simulated else "--model=/model"
    command = [
        *("python", "-m", f"workers.{launch.engine}"),
        f"--role={role}",
        "--name=$(POD_NAME)",
        "--host=$(POD_IP)",
        "--store=$(PLANNER_STORE)",
        "--plane=$(PLANNER_PLANE)",
        f"--parallelism={parallelism}",
        own,
    ]
    gpus = "" if is_simulated else _GPUS.format(gpus=parallelism.gpus)
    return _DEPLOYMENT.format(
        name=f"{_slug(name)}-{role}",
        model=_slug(name),
        role=role,
        count=count,
        image=_IMAGE,
        command=json.dumps(command),
        gpus=gpus,
    )


def _slug(name: str) -> str:
    """Return *name* as Kubernetes allows it."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")


_GPUS = """\
          resources:
            limits:
              nvidia.com/gpu: {gpus}
"""
_DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  labels: {{app.kubernetes.io/name: planner, planner/model: {model}, planner/role: {role}}}
spec:
  replicas: {count}
  selector:
    matchLabels: {{planner/model: {model}, planner/role: {role}}}
  template:
    metadata:
      labels: {{app.kubernetes.io/name: planner, planner/model: {model}, planner/role: {role}}}
    spec:
      terminationGracePeriodSeconds: 60
      containers:
        - name: worker
          image: {image}
          command: {command}
          envFrom:
            - configMapRef: {{name: planner}}
          env:
            - name: POD_NAME
              valueFrom: {{fieldRef: {{fieldPath: metadata.name}}}}
            - name: POD_IP
              valueFrom: {{fieldRef: {{fieldPath: status.podIP}}}}
{gpus}"""
