"""What the control loop says about itself on /metrics; told by `planner.loop` in every turn."""

from math import nan

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from planner.core.observation import Observation, Replicas, Traffic
from planner.core.plan import Decision, Plan, Reason
from planner.policy_metrics import PolicyMetrics
from planner.ports import Outcome

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_UNKNOWN = nan
REJECTED = "rejected"
"""The outcome of a scale call that raised."""


class LoopMetrics:
    """The planner's own series, in *registry*. What is not known is NaN, never 0."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.policy = PolicyMetrics(registry)

        def by_role(name: str, text: str) -> Gauge:
            return Gauge(f"planner_{name}", text, ["role"], registry=registry)

        def one(name: str, text: str) -> Gauge:
            gauge = Gauge(f"planner_{name}", text, registry=registry)
            gauge.set(_UNKNOWN)
            return gauge

        self._desired = by_role("desired_replicas", "Replicas decided on.")
        self._raw = by_role("raw_replicas", "Replicas asked for by the load alone.")
        self._current = by_role("current_replicas", "Replicas that serve or will serve.")
        self._ready = by_role("ready_replicas", "Replicas that serve.")
        self._draining = by_role("draining_replicas", "Replicas that finish what they have.")
        self._decisions = Counter(
            "planner_decisions",
            "Decisions by the reason of each of their steps.",
            ["role", "reason"],
            registry=registry,
        )
        self._counted: set[str] = set()
        self._scalings = Counter(
            "planner_scalings", "Attempts to act, by what became of them.", ["outcome"],
            registry=registry,
        )  # fmt: skip
        self._failures = Counter(
            "planner_failed_ticks", "Turns of the loop that ended in an error.", registry=registry
        )
        self._tick = Histogram(
            "planner_tick_seconds", "Duration of one turn.", buckets=_SECONDS, registry=registry
        )
        self._decided_at = one(
            "last_decision_timestamp_seconds", "When it last decided, as Unix time."
        )
        self._age = one("metrics_age_seconds", "Age of the oldest figure used.")
        self._attainment = one(
            "sla_attainment", "Share of the requests that ended since the last look inside the SLA."
        )
        self._predicted = one("predicted_attainment", "Share expected of the fleet decided on.")
        self._gpus = Gauge(
            "planner_gpus", "GPUs that a fleet holds, or may hold.", ["fleet"], registry=registry
        )
        self._cost = one("cost_per_hour", "Of the fleet decided on, in the profile's currency.")
        self._acts = Gauge("planner_acts", "1 if it scales, 0 if it observes.", registry=registry)
        for outcome in (*(o.value for o in Outcome), REJECTED):
            self._scalings.labels(outcome)

    def began(self, *, acts: bool) -> None:
        """Say whether this planner scales or only observes."""
        self._acts.set(acts)

    def saw(self, observation: Observation) -> None:
        """Show what was seen of the deployment."""
        for role, replicas in observation.fleet.items():
            self._show(role.value, replicas)
        self._age.set(observation.age_seconds)
        self._attainment.set(_attainment(observation.traffic))

    def saw_nothing(self) -> None:
        """Show that nothing is known."""
        self._age.set(_UNKNOWN)
        self._attainment.set(_UNKNOWN)

    def decided(self, plan: Plan, *, at: float) -> None:
        """Show *plan*, made *at* that Unix time, and count the reasons of its steps."""
        self._decided_at.set(at)
        for decision in plan.decisions.values():
            self._count(decision)
        self._gpus.labels("current").set(plan.gpus.current)
        self._gpus.labels("desired").set(plan.gpus.desired)
        if plan.gpus.budget is not None:
            self._gpus.labels("budget").set(plan.gpus.budget)
        self._predicted.set(_UNKNOWN if plan.attainment is None else plan.attainment)
        self._cost.set(_UNKNOWN if plan.cost_per_hour is None else plan.cost_per_hour)

    def acted(self, outcome: str) -> None:
        """Count what became of an attempt to act."""
        self._scalings.labels(outcome).inc()

    def took(self, seconds: float) -> None:
        """Count a turn of the loop that lasted *seconds*."""
        self._tick.observe(seconds)

    def failed(self) -> None:
        """Count a turn that ended in an error."""
        self._failures.inc()

    def _show(self, role: str, replicas: Replicas) -> None:
        self._current.labels(role).set(replicas.current)
        self._ready.labels(role).set(replicas.ready)
        self._draining.labels(role).set(replicas.draining)

    def _count(self, decision: Decision) -> None:
        role = decision.role.value
        self._desired.labels(role).set(decision.desired)
        self._raw.labels(role).set(decision.raw)
        if role not in self._counted:
            self._counted.add(role)
            for one in Reason:
                self._decisions.labels(role, one.value)  # so that the first is seen as growth
        for reason in {step.reason.value for step in decision.steps}:
            self._decisions.labels(role, reason).inc()


def _attainment(traffic: Traffic | None) -> float:
    if traffic is None or traffic.within_sla is None:
        return _UNKNOWN
    return min(1.0, traffic.within_sla / traffic.ended) if traffic.ended else _UNKNOWN
