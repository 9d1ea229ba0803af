"""For each alert, series under which it fires, and some under which it does not."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Series = Mapping[str, str]
"""Values by series, in promtool's notation, one a minute."""

_MANY = 1000
_STALE = "planner:9400 in n has not decided for five intervals, or never since it began."
_DRIFTS = (
    "Steps of decode in n take at least a quarter more or less time than the profile says."
    " Decisions correct for it, but predictions for other loads are off: measure again."
)
_N = 'namespace="n"'
_PLANNER = f'{_N},instance="planner:9400",component="planner"'
_ROLE = f'{_PLANNER},role="decode"'
_OF_ROLE = {"namespace": "n", "role": "decode"}
_OF_PLANNER = {"namespace": "n", "instance": "planner:9400"}
_TARGET_OF_PLANNER = {**_OF_PLANNER, "component": "planner"}
_OF_MODEL = {"namespace": "n", "model": "m"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is seen, and whether *alert* fires *at* that time: with *labels* if it does."""

    alert: str
    series: Series
    at: str
    description: str | None = None
    """What is told; None where it does not fire."""
    labels: Mapping[str, str] = field(default_factory=dict)


def growing(by: float) -> str:
    """Return a counter that grows by so much a minute."""
    return f"0+{by:g}x{_MANY}"


def lasting(value: str) -> str:
    """Return a gauge that stays at *value*."""
    return " ".join(["NaN"] * 60) if value == "NaN" else f"{value}x{_MANY}"


def requests(late: str, within: str) -> Series:
    """Return a frontend and a planner that keeps 99%."""
    frontend = f'{_N},model="m",instance="frontend:8080"'
    return {
        f"planner_frontend_requests_started_total{{{frontend}}}": growing(1),
        f"planner_frontend_requests_outside_sla_total{{{frontend}}}": late,
        f"planner_frontend_requests_within_sla_total{{{frontend}}}": within,
        f"planner_target_attainment{{{_PLANNER}}}": lasting("0.99"),
    }


def decisions(reason: str, count: str) -> Series:
    """Return a planner whose decisions had *reason* so often."""
    return {f'planner_decisions_total{{{_ROLE},reason="{reason}"}}': count}


def planner(**gauges: str) -> Series:
    """Return series of a planner by the ends of their names."""
    return {f"planner_{name}{{{_PLANNER}}}": value for name, value in gauges.items()}


def replicas(*, desired: str, ready: str, acts: int = 1) -> Series:
    """Return what a planner tells of a role."""
    return {
        f"planner_desired_replicas{{{_ROLE}}}": desired,
        f"planner_ready_replicas{{{_ROLE}}}": ready,
        **planner(acts=lasting(str(acts))),
    }


def scalings(outcome: str, count: str) -> Series:
    """Return how many attempts to act came to *outcome*."""
    return {f'planner_scalings_total{{{_PLANNER},outcome="{outcome}"}}': count}


def beside(series: Series) -> Series:
    """Return *series* as another planner of the same deployment tells them."""
    return {name.replace("planner:9400", "planner-2:9400"): of for name, of in series.items()}


def prefills(outcome: str, count: str) -> Series:
    """Return remote prefills of a decode worker."""
    worker = f'{_N},model="m",component="decode",instance="1a"'
    return {f'planner_worker_remote_prefills_total{{{worker},outcome="{outcome}"}}': count}


def up(component: str, value: int) -> Series:
    """Return whether a process answers."""
    return {f'up{{{_N},component="{component}",instance="host:1"}}': lasting(str(value))}


CASES = {
    "a fifth of the requests is late": Case(
        alert="PlannerErrorBudgetBurnFast",
        series=requests(growing(20), growing(80)),
        at="70m",
        labels=_OF_MODEL,
        description="m in n spends its budget of late and failed requests 20 times as fast as"
        " 30 days allow.",
    ),
    "a fiftieth is": Case(
        alert="PlannerErrorBudgetBurnFast",
        series=requests(growing(2), growing(98)),
        at="70m",
    ),
    "a fifth is, of hardly any": Case(
        alert="PlannerErrorBudgetBurnFast",
        series=requests(growing(0.1), growing(0.4)),
        at="70m",
    ),
    "nobody sends any": Case(
        alert="PlannerErrorBudgetBurnFast",
        series=requests(lasting("7"), lasting("7")),
        at="70m",
    ),
    "one in 25 is late": Case(
        alert="PlannerErrorBudgetBurnSlow",
        series=requests(growing(4), growing(96)),
        at="60m",
        labels=_OF_MODEL,
        description="m in n spends its budget of late and failed requests 4.0 times as fast as"
        " 30 days allow.",
    ),
    "one in 200 is late": Case(
        alert="PlannerErrorBudgetBurnSlow",
        series=requests(growing(0.5), growing(99.5)),
        at="60m",
    ),
    "what was late is long over": Case(
        alert="PlannerErrorBudgetBurnSlow",
        series=requests(f"0+40x120 4800x{_MANY}", growing(60)),
        at="9h",
    ),
    "a frontend without a planner": Case(
        alert="PlannerAbsent",
        series=up("frontend", 1),
        at="10m",
        labels={"namespace": "n"},
        description="No planner in n tells its metrics; replicas stay as they are.",
    ),
    "a frontend and a planner": Case(
        alert="PlannerAbsent",
        series={**up("frontend", 1), **planner(acts=lasting("0"))},
        at="10m",
    ),
    "a deployment that was stopped": Case(
        alert="PlannerAbsent", series={**up("frontend", 0), **up("planner", 0)}, at="10m"
    ),
    "it acted and only observes now": Case(
        alert="PlannerNotActing",
        series=planner(acts=f"1x10 0x{_MANY}"),
        at="35m",
        labels={"namespace": "n"},
        description="Every planner in n only observes.",
    ),
    "it always observed": Case(
        alert="PlannerNotActing", series=planner(acts=lasting("0")), at="35m"
    ),
    "it acts": Case(alert="PlannerNotActing", series=planner(acts=lasting("1")), at="35m"),
    "it stopped deciding": Case(
        alert="PlannerStale",
        series=planner(last_decision_timestamp_seconds=lasting("0"), interval_seconds="5x99"),
        at="10m",
        labels=_TARGET_OF_PLANNER,
        description=_STALE,
    ),
    "it never decided": Case(
        alert="PlannerStale",
        series=planner(
            last_decision_timestamp_seconds=lasting("NaN"),
            interval_seconds="5x99",
            tick_seconds_count=growing(12),
        ),
        at="10m",
        labels=_TARGET_OF_PLANNER,
        description=_STALE,
    ),
    "its first interval is long": Case(
        alert="PlannerStale",
        series=planner(
            last_decision_timestamp_seconds=lasting("NaN"),
            interval_seconds="600x99",
            tick_seconds_count=lasting("1"),
        ),
        at="9m",
    ),
    "it decides": Case(
        alert="PlannerStale",
        series=planner(last_decision_timestamp_seconds=growing(60), interval_seconds="5x99"),
        at="10m",
    ),
    "it decides every five minutes": Case(
        alert="PlannerStale",
        series=planner(last_decision_timestamp_seconds="0x5 300x5 600x5", interval_seconds="300x9"),
        at="10m",
    ),
    "each turn fails": Case(
        alert="PlannerTurnsFail",
        series=planner(failed_ticks_total=growing(1)),
        at="20m",
        labels=_TARGET_OF_PLANNER,
        description="planner:9400 in n failed 10 times in ten minutes; its log has the traceback.",
    ),
    "some failed long ago": Case(
        alert="PlannerTurnsFail", series=planner(failed_ticks_total=lasting("3")), at="20m"
    ),
    "it holds, seeing nothing": Case(
        alert="PlannerMetricsUnavailable",
        series=decisions("MetricsUnavailable", growing(12)),
        at="12m",
        labels=_OF_PLANNER,
        description="planner:9400 in n knows nothing current of the deployment.",
    ),
    "it never saw anything": Case(
        alert="PlannerMetricsUnavailable",
        series=planner(metrics_age_seconds=lasting("NaN")),
        at="12m",
        labels=_OF_PLANNER,
        description="planner:9400 in n knows nothing current of the deployment.",
    ),
    "it saw nothing once": Case(
        alert="PlannerMetricsUnavailable",
        series={
            **decisions("MetricsUnavailable", lasting("3")),
            **planner(metrics_age_seconds=lasting("0")),
        },
        at="12m",
    ),
    "engines are too slow for the prompts": Case(
        alert="PlannerSlaInfeasible",
        series=decisions("SlaInfeasible", growing(12)),
        at="25m",
        labels=_OF_ROLE,
        description="For requests as they are in n, one decode engine alone is slower than the"
        " target.",
    ),
    "decisions by forecast": Case(
        alert="PlannerSlaInfeasible", series=decisions("DemandForecast", growing(12)), at="25m"
    ),
    "the maximum makes requests late": Case(
        alert="PlannerAtLimit",
        series={
            **decisions("TooManyReplicas", growing(12)),
            **requests(growing(3), growing(97)),
        },
        at="40m",
        labels=_OF_ROLE,
        description="The load on decode in n asks for more than it may have.",
    ),
    "the maximum makes nobody late": Case(
        alert="PlannerAtLimit",
        series={**decisions("GpuBudget", growing(12)), **requests(lasting("0"), growing(97))},
        at="40m",
    ),
    "steps take 1.4 times as long": Case(
        alert="PlannerProfileDrift",
        series={f"planner_slowness_ratio{{{_ROLE}}}": lasting("1.4")},
        at="35m",
        labels={**_TARGET_OF_PLANNER, "role": "decode"},
        description=_DRIFTS,
    ),
    "steps take half as long": Case(
        alert="PlannerProfileDrift",
        series={f"planner_slowness_ratio{{{_ROLE}}}": lasting("0.5")},
        at="35m",
        labels={**_TARGET_OF_PLANNER, "role": "decode"},
        description=_DRIFTS,
    ),
    "steps take a tenth longer": Case(
        alert="PlannerProfileDrift",
        series={f"planner_slowness_ratio{{{_ROLE}}}": lasting("1.1")},
        at="35m",
    ),
    "two do not start": Case(
        alert="PlannerReplicasMissing",
        series=replicas(desired=lasting("4"), ready=lasting("2")),
        at="25m",
        labels=_OF_ROLE | _OF_PLANNER,
        description="2 decode replicas in n are missing for at least ten minutes.",
    ),
    "a growing fleet follows": Case(
        alert="PlannerReplicasMissing",
        series=replicas(desired="4x5 5x5 6x5 7x5 8x9", ready="3x5 4x5 5x5 6x5 7x9"),
        at="25m",
    ),
    "nobody is to start them": Case(
        alert="PlannerReplicasMissing",
        series=replicas(desired=lasting("4"), ready=lasting("2"), acts=0),
        at="25m",
    ),
    "two do not go": Case(
        alert="PlannerReplicasLeftOver",
        series=replicas(desired=lasting("1"), ready=lasting("3")),
        at="25m",
        labels=_OF_ROLE | _OF_PLANNER,
        description="2 decode replicas in n more than decided on serve for at least ten minutes.",
    ),
    "as many as decided": Case(
        alert="PlannerReplicasLeftOver",
        series=replicas(desired=lasting("3"), ready=lasting("3")),
        at="25m",
    ),
    "all that is decided is refused": Case(
        alert="PlannerScalingRejected",
        series={**scalings("rejected", growing(1)), **planner(acts=lasting("1"))},
        at="25m",
        labels={"namespace": "n"},
        description="In ten minutes 10 attempts or more of each planner that is to act in n were"
        " refused: replicas do not fit, or who has the lease tells no metrics.",
    ),
    "another planner has the lease": Case(
        alert="PlannerScalingRejected",
        series={
            **scalings("rejected", growing(1)),
            **planner(acts=lasting("1")),
            **beside(scalings("rejected", lasting("0"))),
            **beside(planner(acts=lasting("1"))),
        },
        at="25m",
    ),
    "what is decided is done": Case(
        alert="PlannerScalingRejected",
        series={**scalings("applied", growing(1)), **scalings("rejected", lasting("2"))},
        at="25m",
    ),
    "prefills fail three times": Case(
        alert="PlannerPrefillsGivenUp",
        series=prefills("failed", growing(1)),
        at="5m",
        labels=_OF_MODEL,
        description="5 prefills of m in n became dead letters, or were refused by the engine, in a"
        " quarter of an hour.",
    ),
    "prefills are done": Case(
        alert="PlannerPrefillsGivenUp",
        series={**prefills("done", growing(9)), **prefills("failed", lasting("4"))},
        at="20m",
    ),
    "a worker hangs": Case(
        alert="PlannerTargetDown",
        series=up("decode", 0),
        at="8m",
        labels={"namespace": "n", "component": "decode", "instance": "host:1"},
        description="The decode at host:1 in n has not answered for five minutes.",
    ),
    "a worker answers": Case(alert="PlannerTargetDown", series=up("decode", 1), at="8m"),
    "another job is down": Case(alert="PlannerTargetDown", series=up("postgres", 0), at="8m"),
}
