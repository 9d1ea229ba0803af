"""What a trace meets: the deployment, its routing, and what goes wrong in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from planner.core.engine import EngineModel
from planner.core.role import Role
from planner.core.sla import Sla


class Router(StrEnum):
    """How frontends choose who serves a request; the names are those of the product's strategies.

    `kv` takes the engine with the fewest tokens to compute and to hold, less those that its prefix
    cache has.
    """

    LEAST_LOADED = "least_loaded"
    ROUND_ROBIN = "round_robin"
    RANDOM = "random"
    KV = "kv"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemotePrefill:
    """When a decode replica has a prompt prefilled elsewhere; the rest it prefills itself.

    The names are those of the settings that decode workers follow.
    """

    max_local_prefill_length: int = 0
    """Prompt tokens, cached ones not counted, up to which it prefills itself."""
    max_prefill_queue_size: int | None = None
    """Prompts waiting and in work at which no more are sent away; None is any number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """The deployment that a trace meets. *initial* replicas are ready at the start."""

    sla: Sla
    models: Mapping[Role, EngineModel]
    """How the engines really are, which a policy's profile need not say."""
    initial: Mapping[Role, int]
    gpus_per_replica: Mapping[Role, int] = field(default_factory=dict)
    """One for a role that is left out."""
    cold_start_seconds: float = 60.0
    interval_seconds: float = 5.0
    """Between two looks of the policy."""
    hands_off_seconds: float = 0.0
    """From the start, while the policy is asked and not obeyed."""
    remote_prefill: RemotePrefill = field(default_factory=RemotePrefill)
    """What decode replicas send to prefill replicas; everything unless told."""
    patience_seconds: float = 600.0
    """After the last arrival; who has not finished by then never will."""

    router: Router = Router.LEAST_LOADED
    prefix_cache: bool = False
    """Whether prompts that a trace's hash ids call equal are computed once an engine."""
    kv_growth: bool = False
    """Whether requests take memory as they grow and are preempted where there is none left.

    Otherwise each takes all that it will ever need when it is let in.
    """
    failures: Mapping[Role, Sequence[float]] = field(default_factory=dict)
    """Seconds at which one of a role's ready replicas dies; its requests go on elsewhere."""
    drain_timeout_seconds: float | None = None
    """After which a draining replica is killed, as if it failed; None waits."""
    metric_delay_seconds: float = 0.0
    """Age of what the policy sees at least; it knows the replicas as they are."""
    metric_loss: float = 0.0
    """Share of looks at which metrics cannot be read; counters go on."""
    noise: float = 0.0
    """Each coefficient of each replica's laws is multiplied by 1 - noise to 1 + noise."""
    seed: int = 0
    """Of everything above that is drawn at random."""
