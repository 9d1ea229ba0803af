"""Everything that can be set about the control loop. Names are those of the flags."""

from collections.abc import Collection
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from planner.config.fields import (
    Counts,
    Duration,
    LabelName,
    Labels,
    OptionalDuration,
    Parallelisms,
    Share,
    SlaText,
    Words,
)
from planner.config.servers import OptionalUrl, ServerUrls
from planner.core.policy import Bounds, Forecaster, LoadTargets, Mode, PolicyConfig
from planner.core.role import Role
from planner.core.sla import Sla
from planner.errors import ConfigError
from planner.sources.engines.names import EngineKind

_UNMEASURED_SECONDS = 60.0


class ConnectorKind(StrEnum):
    """What moves replicas."""

    CIRCUS = "circus"
    KUBERNETES = "kubernetes"


class Settings(BaseModel):
    """The effective settings; durations are in seconds, shares between 0 and 1.

    The text of a field is its documentation in the JSON schema.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    sla: SlaText = None
    """Targets and the share of requests that must meet them: ttft=200ms,itl=20ms,attainment=99%."""
    profile: str | None = None
    """Bundled profile by name, or a file; the deployment's own when left out."""
    parallelism: Parallelisms = {}
    """How one replica of a role is spread over GPUs: decode=tp2."""
    mode: Mode = Mode.SLA
    """sla: by the profile's engine model; load: by queue and KV thresholds, without a profile."""
    interval: Duration = 5.0
    """Time between two decisions."""
    cold_start: OptionalDuration = None
    """Time from asking for a replica until it serves; measured when left out, 1m before that."""
    stabilization: OptionalDuration = None
    """How long a need must stay lower before replicas go; a third of a cold start when left out."""
    max_age: OptionalDuration = None
    """Older figures hold the fleet; three intervals when left out."""
    tolerance: Share = 0.05
    """Share by which the need may pass a whole replica before the number moves."""
    headroom: float = Field(default=1.0, ge=0.1, le=10)
    """A factor on the replicas needed, beside the headroom that is learned."""
    forecaster: Forecaster = Forecaster.ENSEMBLE
    """level: average and recent peaks; ensemble: all forecasters, by how well each did lately."""
    min: Counts = {}
    """Fewest replicas of a role: 1 when left out."""
    max: Counts = {}
    """Most replicas of a role: 64 when left out."""
    max_gpus: int | None = Field(default=None, ge=1)
    """GPUs that all replicas together may hold; unlimited when left out."""
    kv_usage: Share = 0.8
    """Share of KV blocks in use at which a role is spread over more replicas."""
    waiting: float = Field(default=2.0, gt=0)
    """Requests waiting for each ready replica above which a role grows."""
    connector: ConnectorKind = ConnectorKind.CIRCUS
    """How replicas are moved: those of planner serve by circus, others by kubernetes."""
    deployment: str | None = None
    """On Kubernetes: the workloads to scale, by their label planner/deployment."""
    deployments: Path | None = None
    """File of several deployments on Kubernetes, a table of settings for each."""
    kube_namespace: str | None = None
    """Namespace of the cluster; the pod's own when left out, or default."""
    kube_context: str | None = None
    """Context of the kubeconfig to use; the current one when left out."""
    kube_kinds: Words = ()
    """Kinds scaled beside Deployments and StatefulSets: GROUP/VERSION/PLURAL."""
    frontends: Words = ()
    """URLs of this project's frontends on Kubernetes; other servers are read pod by pod."""
    pending: Duration = 300.0
    """How long a pod may find no node or fail; then it is reported and not counted on."""
    drain: OptionalDuration = None
    """How long a pod may take to become idle before it is ended; left out, it ends by itself."""
    observe: bool = False
    """Decide and record, but change nothing."""
    state_dir: Path | None = None
    """Folder of the deployment to plan for."""
    namespace: str = "planner"
    """Namespace of the deployment in the discovery store."""
    store: str | None = None
    """Address of the discovery store: etcd://127.0.0.1:2379."""
    servers: ServerUrls = {}
    """Servers that planner did not start, to be observed: aggregated=http://h1:8000,http://h2:8000."""
    fleet: Path | None = None
    """File that describes servers of another make, which planner starts and ends by itself."""
    engine: EngineKind | None = None
    """What those servers are; told by their metrics when left out."""
    model: str | None = None
    """Model whose figures count, where frontends serve several; all when left out."""
    prometheus: OptionalUrl = None
    """URL of a Prometheus that scrapes the deployment: read it, in place of each process."""
    prometheus_labels: Labels = {}
    """Labels of the targets that count; on Kubernetes their namespace when left out."""
    prometheus_replica: LabelName = None
    """Label that tells replicas apart; pod on Kubernetes, instance elsewhere, when left out."""
    prometheus_token_file: Path | None = None
    """File with a bearer token for Prometheus, read anew each time."""
    prometheus_user: str | None = None
    """User name for Prometheus."""
    prometheus_password_file: Path | None = None
    """File with that user's password."""
    prometheus_ca_file: Path | None = None
    """File with the certificates that Prometheus' own is checked against."""
    journal: Path | None = None
    """File that keeps every decision."""
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    """Port of the planner's own /metrics; 0 takes a free one, none is served when left out."""
    metrics_host: str = "127.0.0.1"
    """Address that it listens on: 0.0.0.0 for all."""
    metrics_timeout: Duration = 1.5
    """How long one process, or Prometheus, may take to tell metrics."""


def policy(settings: Settings, roles: Collection[Role]) -> PolicyConfig:
    """Return how to decide about a deployment of *roles*.

    Raises ConfigError without an SLA, for bounds of a role that it does not have, and for values
    out of range.
    """
    sla = required_sla(settings)
    for flag, counts in (("--min", settings.min), ("--max", settings.max)):
        for role in counts.keys() - set(roles):
            raise ConfigError(
                f"{flag} {role}={counts[role]}: this deployment has no such role",
                hint=f"its roles are {', '.join(sorted(roles))}",
            )
    return PolicyConfig(
        sla=sla,
        bounds={role: _bounds(settings, role) for role in Role if role in roles},
        parallelism={r: p for r, p in settings.parallelism.items() if r in roles},
        max_gpus=settings.max_gpus,
        interval_seconds=settings.interval,
        cold_start_seconds=_cold_start(settings),
        stabilization_seconds=settings.stabilization,
        max_age_seconds=settings.max_age,
        tolerance=settings.tolerance,
        headroom=settings.headroom,
        forecaster=settings.forecaster,
        mode=settings.mode,
        load=LoadTargets(kv_usage=settings.kv_usage, waiting=settings.waiting),
    )


def _cold_start(settings: Settings) -> float:
    return _UNMEASURED_SECONDS if settings.cold_start is None else settings.cold_start


def required_sla(settings: Settings) -> Sla:
    """Return the SLA; raises ConfigError without one."""
    if settings.sla is None:
        raise ConfigError("no SLA is set", hint="--sla ttft=200ms,itl=20ms")
    return settings.sla


def _bounds(settings: Settings, role: Role) -> Bounds:
    default = Bounds()
    try:
        return Bounds(
            minimum=settings.min.get(role, default.minimum),
            maximum=settings.max.get(role, default.maximum),
        )
    except ConfigError as error:
        raise ConfigError(f"min and max of {role}: {error}", hint=error.hint) from None
