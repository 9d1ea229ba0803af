"""What decisions remember from one to the next: small, plain and restartable from a journal."""

from collections.abc import Mapping
from dataclasses import field
from typing import cast

from planner.core.encoding import decoded, encoded
from planner.core.headroom import Series
from planner.core.peaks import Peaks
from planner.core.role import Role
from planner.core.shown import Recent
from planner.core.traffic import Flows
from planner.core.value import value
from planner.errors import ConfigError

SCHEMA_VERSION = "4"


@value
class RoleMemory:
    """What is remembered of one role."""

    recent: Recent = field(default_factory=Recent)
    rate_rps: float | None = None
    """Arrivals, averaged over the time that a request may take, where no bins are told."""
    demand: Series = field(default_factory=Series)
    highs: Peaks = ()
    """Largest needs of the window in which a load is told steady, as real numbers."""
    needs: Peaks = ()
    """Replicas needed by the decisions of the stabilization window."""
    late_share: float | None = None
    """Slowly smoothed share of requests that were late because of this role."""
    slowness: float = 1.0
    """Time that the engines' steps take over what the profile says."""
    ready: int = 0
    """Replicas that were ready at the last look."""
    grown_at: float | None = None
    """When they last became more."""

    def needing(self, *, highs: Peaks, needs: Peaks) -> "RoleMemory":
        """Return this memory with these *highs* and *needs*."""
        return RoleMemory(
            recent=self.recent,
            rate_rps=self.rate_rps,
            demand=self.demand,
            highs=highs,
            needs=needs,
            late_share=self.late_share,
            slowness=self.slowness,
            ready=self.ready,
            grown_at=self.grown_at,
        )


_BLANK = RoleMemory()


@value
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
        return self.roles.get(role, _BLANK)

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON, which `from_dict` restores exactly."""
        return {"schema_version": SCHEMA_VERSION, **cast("dict[str, object]", encoded(self))}

    @classmethod
    def from_dict(cls, value: Mapping[str, object]) -> "PolicyState":
        """Return the state that `to_dict` wrote; raises ConfigError naming what is wrong in it."""
        version = value.get("schema_version")
        if version != SCHEMA_VERSION:
            raise ConfigError(
                f"policy state: schema version {version} is not the supported {SCHEMA_VERSION}",
                hint="start without it: nothing shrinks until a new history has grown",
            )
        plain = {key: item for key, item in value.items() if key != "schema_version"}
        try:
            return decoded(cls, plain)
        except ValueError as error:
            raise ConfigError(f"policy state: {error}", hint="start without it") from None
