"""What decisions aim at and have learned, on /metrics: targets, forecasts and corrections."""

from math import nan

from prometheus_client import CollectorRegistry, Gauge

from planner.core.plan import Decision, Plan
from planner.core.policy import PolicyConfig
from planner.core.state import PolicyState, RoleMemory

_UNKNOWN = nan


class PolicyMetrics:
    """The series of a policy, in *registry*. What is not known is NaN, never 0."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def one(name: str, text: str) -> Gauge:
            gauge = Gauge(f"planner_{name}", text, registry=registry)
            gauge.set(_UNKNOWN)
            return gauge

        def by_role(name: str, text: str) -> Gauge:
            return Gauge(f"planner_{name}", text, ["role"], registry=registry)

        self._ttft = one("target_ttft_seconds", "TTFT that the SLA allows.")
        self._itl = one("target_itl_seconds", "Mean ITL of a request that the SLA allows.")
        self._attainment = one("target_attainment", "Share of the requests to be inside the SLA.")
        self._interval = one("interval_seconds", "Time between two decisions.")
        self._lead = one("lead_seconds", "How far forecasts look: a cold start and an interval.")
        self._demand = by_role("demand_replicas", "Replicas that the last interval needed.")
        self._forecast = by_role(
            "forecast_replicas", "Replicas expected to be needed one lead from now."
        )
        self._headroom = by_role("headroom_ratio", "Factor on the forecast for past errors.")
        self._slowness = by_role(
            "slowness_ratio", "Time that engine steps take over what the profile says."
        )
        self._late = by_role("late_share", "Smoothed share of requests late because of the role.")

    def keeps(self, config: PolicyConfig) -> None:
        """Show what is to be kept, and how often and how far ahead decisions look."""
        sla = config.sla
        self._ttft.set(_UNKNOWN if sla.ttft_seconds is None else sla.ttft_seconds)
        self._itl.set(_UNKNOWN if sla.itl_seconds is None else sla.itl_seconds)
        self._attainment.set(sla.attainment)
        self._interval.set(config.interval_seconds)
        self._lead.set(config.lead_seconds)

    def learned(self, state: PolicyState, plan: Plan) -> None:
        """Show what *state* remembers of each role that *plan* is about."""
        for role, decision in plan.decisions.items():
            memory = state.role(role)
            demand, forecast = _demand(memory)
            self._demand.labels(role.value).set(demand)
            self._forecast.labels(role.value).set(forecast)
            self._headroom.labels(role.value).set(_headroom(decision))
            self._slowness.labels(role.value).set(memory.slowness)
            late = memory.late_share
            self._late.labels(role.value).set(_UNKNOWN if late is None else late)


def _demand(memory: RoleMemory) -> tuple[float, float]:
    """Return what was needed last and what is forecast, in replicas."""
    series = memory.demand
    if not series.forecasts.seen_seconds:
        return _UNKNOWN, _UNKNOWN
    return series.forecasts.last, series.forecast


def _headroom(decision: Decision) -> float:
    used = (step.inputs["headroom"] for step in decision.steps if "headroom" in step.inputs)
    return next(used, _UNKNOWN)
