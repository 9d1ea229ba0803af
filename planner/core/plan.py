"""The answer of `decide`: values whose numbers cannot move without a reason."""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from planner.core.role import Role
from planner.core.value import value


class Reason(StrEnum):
    """Why a step moved or held the number; the value is what operators read and search for."""

    DEMAND_FORECAST = "DemandForecast"
    BURSTS = "Bursts"
    LOAD_THRESHOLD = "LoadThreshold"
    BACKLOG = "Backlog"
    KV_PRESSURE = "KvPressure"
    ATTAINMENT_BELOW_TARGET = "AttainmentBelowTarget"
    CONSOLIDATION_REFUSED = "ConsolidationRefused"
    WITHIN_TOLERANCE = "WithinTolerance"
    SCALE_DOWN_STABILIZED = "ScaleDownStabilized"
    METRICS_UNAVAILABLE = "MetricsUnavailable"
    WARMING_UP = "WarmingUp"
    SLA_INFEASIBLE = "SlaInfeasible"
    GPU_BUDGET = "GpuBudget"
    SHRINK_BEFORE_GROW = "ShrinkBeforeGrow"
    TOO_FEW_REPLICAS = "TooFewReplicas"
    TOO_MANY_REPLICAS = "TooManyReplicas"


@value
class Step:
    """One move of the number: why, from what to what, and the inputs it used (units in names)."""

    reason: Reason
    before: int
    after: int
    inputs: Mapping[str, float] = field(default_factory=dict)


@value
class Alternative:
    """What another number of replicas would give: the counterfactual of a decision."""

    replicas: int
    attainment: float
    """Predicted share of requests for which the role does its part of the SLA."""
    cost_per_hour: float | None
    """Of that many replicas of the role; None without a GPU price."""


@value
class Decision:
    """The replicas that one role should have, and every step that led there.

    *raw* is what the load asks for, before budget, stabilization and bounds. *alternatives* are
    one replica fewer, the number desired, and one more; none when nothing is predicted.
    """

    role: Role
    current: int
    raw: int
    desired: int
    steps: tuple[Step, ...]
    alternatives: tuple[Alternative, ...] = ()

    @classmethod
    def unmoved(cls, role: Role, current: int) -> "Decision":
        """Return the decision that every other starts from: stay at *current*, for no reason."""
        return cls(role=role, current=current, raw=current, desired=current, steps=())

    def moved(self, reason: Reason, replicas: int, **inputs: float) -> "Decision":
        """Return this decision at *replicas*, or itself when nothing moves."""
        if replicas == self.desired:
            return self
        return self.judged(reason, replicas, **inputs)

    def judged(self, reason: Reason, replicas: int, **inputs: float) -> "Decision":
        """Return this decision at *replicas* with a step that says why, also when nothing moves."""
        step = Step(reason=reason, before=self.desired, after=replicas, inputs=inputs)
        return Decision(
            role=self.role,
            current=self.current,
            raw=self.raw,
            desired=replicas,
            steps=(*self.steps, step),
        )

    def asked(self) -> "Decision":
        """Return this decision as what the load asks for."""
        if self.raw == self.desired:
            return self
        return Decision(
            role=self.role,
            current=self.current,
            raw=self.desired,
            desired=self.desired,
            steps=self.steps,
        )

    def compared(self, alternatives: tuple[Alternative, ...]) -> "Decision":
        """Return this decision with its *alternatives*."""
        return Decision(
            role=self.role,
            current=self.current,
            raw=self.raw,
            desired=self.desired,
            steps=self.steps,
            alternatives=alternatives,
        )


@value
class Gpus:
    """GPUs that the fleet holds and would hold; *budget* None is unlimited."""

    current: int
    desired: int
    budget: int | None = None


@value
class Plan:
    """One decision per role and what they come to. Costs are per hour in the profile's currency."""

    at: float
    decisions: Mapping[Role, Decision]
    gpus: Gpus
    cost_per_hour: float | None
    """Of the desired fleet; None without a GPU price."""
    attainment: float | None
    """Predicted share of requests inside the SLA with the desired fleet; None when unknown."""
    current_cost_per_hour: float | None = None
    """Of the fleet as it is; None without a GPU price."""
    current_attainment: float | None = None
    """Predicted share with the fleet as it is; None when unknown."""

    @property
    def changes(self) -> bool:
        """Whether acting on it would change any replica count."""
        return any(d.desired != d.current for d in self.decisions.values())

    @property
    def desired(self) -> dict[Role, int]:
        """Replicas by role, the form a connector takes."""
        return {role: d.desired for role, d in self.decisions.items()}
