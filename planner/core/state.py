"""What decisions remember from one to the next: small, plain and restartable from a journal."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from math import inf

from planner.core.document import Document
from planner.core.forecast import BUCKETS, Series
from planner.core.peaks import Peaks
from planner.core.role import Role
from planner.core.traffic import Flows
from planner.core.workload import Workload
from planner.errors import ConfigError

SCHEMA_VERSION = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleMemory:
    """What is remembered of one role."""

    rate_rps: float | None = None
    """Arrivals, averaged over the time that a request stays with the role."""
    demand: Series = field(default_factory=Series)
    needs: Peaks = ()
    """Replicas needed by the decisions of the stabilization window."""
    late_share: float | None = None
    """Slowly smoothed share of requests that were late because of this role."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyState:
    """Everything that `decide` remembers, at most 16 KiB as JSON; ``PolicyState()`` is blank."""

    at: float | None = None
    """When metrics were last known."""
    since: float | None = None
    """Since when they were, without a long gap."""
    flows: Flows = field(default_factory=Flows)
    roles: Mapping[Role, RoleMemory] = field(default_factory=dict)

    def role(self, role: Role) -> RoleMemory:
        """Return what is remembered of *role*, or a blank."""
        return self.roles.get(role, RoleMemory())

    def with_role(self, role: Role, memory: RoleMemory) -> "PolicyState":
        """Return this state remembering *memory* of *role*."""
        return replace(self, roles={**self.roles, role: memory})

    def workload(self, role: Role) -> Workload | None:
        """Return the load that *role* sees, or None while the lengths of outputs are unknown."""
        rate_rps = self.role(role).rate_rps or 0.0
        return self.flows.workload(rate_rps, prompts_only=role is Role.PREFILL)

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON, which `from_dict` restores exactly."""
        return {
            "schema_version": SCHEMA_VERSION,
            "at": self.at,
            "since": self.since,
            "flows": asdict(self.flows),
            "roles": {str(role): asdict(memory) for role, memory in self.roles.items()},
        }

    @classmethod
    def from_dict(cls, value: object) -> "PolicyState":
        """Return the state that `to_dict` wrote; raises ConfigError naming what is wrong in it."""
        document = Document(value, source="policy state", error=ConfigError)
        if document.text("schema_version") != SCHEMA_VERSION:
            raise document.wrong("schema_version", f"only {SCHEMA_VERSION} is supported")
        roles = document.nested("roles")
        roles.known(*Role)
        return cls(
            at=document.optional_number("at", least=-inf),
            since=document.optional_number("since", least=-inf),
            flows=Flows(**_numbers(document.nested("flows"), Flows)),
            roles={
                role: _read_role(memory)
                for role in Role
                if (memory := roles.optional_nested(role)) is not None
            },
        )


def _read_role(document: Document) -> RoleMemory:
    demand = document.nested("demand")
    errors = demand.numbers("errors")
    if len(errors) != BUCKETS:
        raise demand.wrong("errors", f"{len(errors)} buckets must be {BUCKETS}")
    return RoleMemory(
        rate_rps=document.optional_number("rate_rps"),
        demand=Series(
            seen_seconds=demand.number("seen_seconds"),
            average=demand.number("average"),
            peaks=demand.pairs("peaks"),
            promises=demand.pairs("promises"),
            errors=errors,
        ),
        needs=document.pairs("needs"),
        late_share=document.optional_number("late_share"),
    )


def _numbers(document: Document, record: type) -> dict[str, float]:
    return {field.name: document.number(field.name) for field in fields(record)}
