"""A fleet for a steady load: `planner.recommend`, and what `planner size` prints."""

from dataclasses import dataclass, replace

from planner.api.document import Document, sla_document, versioned
from planner.api.inputs import ProfileLike, SlaLike, as_profile, as_sla
from planner.core.policy import AGGREGATED, DISAGGREGATED
from planner.core.role import Role
from planner.core.sizing import RoleSizing, Sizing, size, with_long_prompts
from planner.core.sla import Sla
from planner.core.units import parse_rate
from planner.core.workload import Workload
from planner.errors import ConfigError

TOPOLOGIES = {"cheapest": None, "disaggregated": DISAGGREGATED, "aggregated": AGGREGATED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """The fleet with the fewest GPUs that holds a load, and what it was asked for.

    *sizing* has it role by role: replicas, parallelism, capacity in requests a second, and what
    one replica fewer or more would attain; its *alternative* is the other topology's fleet.
    """

    profile: str
    """As it was named."""
    sla: Sla
    workload: Workload
    sizing: Sizing

    @property
    def replicas(self) -> dict[Role, int]:
        """Replicas by role."""
        return {role: part.replicas for role, part in self.sizing.roles.items()}

    @property
    def gpus(self) -> int:
        """GPUs that all replicas hold."""
        return self.sizing.gpus

    @property
    def cost_per_hour(self) -> float | None:
        """Of all GPUs, in the currency of their price; None without one."""
        return self.sizing.cost_per_hour

    @property
    def attainment(self) -> float:
        """Predicted share of requests inside the SLA, 0 to 1."""
        return self.sizing.attainment

    @property
    def notes(self) -> tuple[str, ...]:
        """Where the load is outside what the profile was measured at."""
        return self.sizing.notes

    def to_dict(self) -> Document:
        """Return the document of ``planner size -o json``."""
        other = self.sizing.alternative
        return versioned(
            {
                "profile": self.profile,
                "sla": sla_document(self.sla),
                "workload": _workload_document(self.workload),
                **_fleet_document(self.sizing),
                "notes": self.notes,
                "alternative": None if other is None else _fleet_document(other),
            }
        )


def recommend(  # noqa: PLR0913 - independent and mostly optional
    profile: ProfileLike,
    sla: SlaLike,
    *,
    rate: float | str,
    isl: float,
    osl: float,
    isl_p99: float | None = None,
    gpu_price: float | None = None,
    topology: str = "cheapest",
) -> Recommendation:
    """Return the fewest GPUs that hold a steady load within an SLA.

    *profile* is the name of a bundled profile, the path of a file, or what `load_profile`
    returned; *sla* is text such as ``ttft=200ms,itl=20ms,attainment=99%`` or an `Sla`. *rate* is
    a number of requests a second, or text with a unit: ``1200/min``. *isl* and *osl* are the mean
    prompt and output length in tokens; *isl_p99* is the length that 99 % of prompts stay below,
    without it all are as long as their mean. *gpu_price* is per GPU and hour, the profile's if
    left out. *topology* is ``disaggregated``, ``aggregated``, or the ``cheapest`` of both.

    Raises ProfileError for a profile, ConfigError for any other argument that cannot be used, and
    SlaInfeasible, naming the nearest target that is met, where no number of replicas would do.

    >>> import planner
    >>> fleet = planner.recommend(
    ...     "llama-3.1-8b-fp8-h200", "ttft=500ms,itl=25ms", rate="20/s", isl=3000, osl=300
    ... )
    >>> fleet.gpus, {str(role): count for role, count in fleet.replicas.items()}
    (3, {'aggregated': 3})
    >>> fleet.to_dict()["workload"]
    {'rate_rps': 20.0, 'isl': 3000, 'osl': 300}
    """
    known, name = as_profile(profile)
    if gpu_price is not None:
        known = replace(known, gpu_price_per_hour=_price(gpu_price))
    load = Workload(rate_rps=_per_second(rate), isl=isl, osl=osl)
    if isl_p99 is not None:
        load = with_long_prompts(load, isl_p99)
    targets = as_sla(sla)
    sizing = size(known, targets, load, roles=_roles(topology))
    return Recommendation(profile=name, sla=targets, workload=load, sizing=sizing)


def _per_second(rate: float | str) -> float:
    if isinstance(rate, str):
        return parse_rate(rate, what=f"rate {rate}", hint='rate="{}"')
    return float(rate)


def _price(gpu_price: float) -> float:
    if not gpu_price >= 0:
        raise ConfigError(f"gpu_price {gpu_price:g}: must be at least 0", hint="3.5")
    return gpu_price


def _roles(topology: str) -> frozenset[Role] | None:
    if topology not in TOPOLOGIES:
        known = ", ".join(TOPOLOGIES)
        raise ConfigError(f"topology {topology!r}: must be one of {known}", hint="cheapest")
    return TOPOLOGIES[topology]


def _workload_document(load: Workload) -> Document:
    document = {"rate_rps": load.rate_rps, "isl": load.isl, "osl": load.osl}
    return document | ({"isl_p99": load.isl_quantile(0.99)} if load.isl_variance else {})


def _fleet_document(sizing: Sizing) -> Document:
    return {
        "roles": {role: _role_document(part) for role, part in sizing.roles.items()},
        "gpus": sizing.gpus,
        "cost_per_hour": sizing.cost_per_hour,
        "attainment": sizing.attainment,
    }


def _role_document(part: RoleSizing) -> Document:
    return {
        "replicas": part.replicas,
        "parallelism": str(part.parallelism),
        "gpus": part.gpus,
        "capacity_rps": part.capacity_rps,
        "attainment": part.attainment,
        "attainment_one_fewer": part.one_fewer,
        "attainment_one_more": part.one_more,
    }
