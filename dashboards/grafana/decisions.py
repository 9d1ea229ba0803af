"""Decisions: why there are so many replicas, and how good forecasts and corrections are."""

from dashboards.grafana.layout import Dashboard, Section
from dashboards.grafana.panels import ROLES, Colour, Kind, Panel, Query, chosen

_OF_ROLE = chosen("namespace", "role")
_OF_NAMESPACE = chosen("namespace")
_PLANNER = "{{namespace}} {{deployment}}"
_NO_PLANNER = " Empty without a planner: is its --metrics-port set, and scraped?"

FAMILIES = {
    "load": (Colour.BLUE, ("DemandForecast", "Bursts", "LoadThreshold")),
    "pressure": (Colour.ORANGE, ("Backlog", "KvPressure", "AttainmentBelowTarget")),
    "held": (
        Colour.GREEN,
        ("ConsolidationRefused", "WithinTolerance", "ScaleDownStabilized", "WarmingUp"),
    ),
    "limits": (
        Colour.PURPLE,
        ("GpuBudget", "ShrinkBeforeGrow", "TooFewReplicas", "TooManyReplicas"),
    ),
    "trouble": (Colour.VERMILLION, ("MetricsUnavailable", "SlaInfeasible")),
}
"""The reasons by what they have in common, with the colour of each."""


def _steps(reasons: tuple[str, ...]) -> str:
    labels = chosen("namespace", "role", also=f'reason=~"{"|".join(reasons)}"')
    return f"60 * sum by (namespace) (rate(planner_decisions_total{labels}[$__rate_interval]))"


def _each_role(metric: str) -> list[Query]:
    return [
        Query(
            expr=metric + chosen("namespace", "role", also=f'role="{role}"'),
            legend=f"{role} {_PLANNER}",
            colour=colour,
        )
        for role, colour in ROLES.items()
    ]


def _scalings(outcome: str) -> str:
    labels = chosen("namespace", also=f'outcome="{outcome}"')
    return f"60 * sum by (namespace) (rate(planner_scalings_total{labels}[$__rate_interval]))"


_REASONS = Section(
    title="Why there are so many",
    panels=[
        Panel(
            title="Asked for and decided: $role",
            description="Asked for by the load alone, and decided on after budget, stabilization"
            f" and bounds. Where they differ, a reason below says why.{_NO_PLANNER}",
            unit="none",
            width=24,
            is_stepped=True,
            by_role=True,
            queries=[
                Query(
                    expr=f"planner_raw_replicas{_OF_ROLE}",
                    legend=f"asked for {_PLANNER}",
                    colour=Colour.ORANGE,
                ),
                Query(expr=f"planner_desired_replicas{_OF_ROLE}", legend=f"decided {_PLANNER}"),
                Query(
                    expr=f"planner_ready_replicas{_OF_ROLE}",
                    legend=f"ready {_PLANNER}",
                    colour=Colour.GREY,
                    is_limit=True,
                ),
            ],
        ),
        Panel(
            title="Reasons by what they have in common",
            description="Steps of decisions a minute. Load is the ordinary one; held keeps the"
            " number up; limits keep it down; trouble wants somebody. Zero while nothing is"
            f" decided.{_NO_PLANNER}",
            unit="cpm",
            is_stacked=True,
            queries=[
                Query(expr=_steps(reasons), legend=f"{name} {{{{namespace}}}}", colour=colour)
                for name, (colour, reasons) in FAMILIES.items()
            ],
        ),
        Panel(
            title="Reasons",
            description="Steps of decisions in the time that is shown. planner explain REASON tells"
            f" what each means and what to do.{_NO_PLANNER}",
            unit="none",
            kind=Kind.BARS,
            queries=[
                Query(
                    expr="sort_desc(sum by (reason)"
                    f" (increase(planner_decisions_total{_OF_ROLE}[$__range])))",
                    legend="{{reason}}",
                )
            ],
        ),
        Panel(
            title="Attempts to act",
            description="What became of them, per minute. Rejected ones were refused: another"
            " planner has the lease, or replicas do not fit. Zero while nothing changes."
            f"{_NO_PLANNER}",
            unit="cpm",
            queries=[
                Query(
                    expr=_scalings(outcome),
                    legend=f"{outcome} {{{{namespace}}}}",
                    colour=colour,
                )
                for outcome, colour in {
                    "applied": Colour.BLUE,
                    "observed": Colour.SKY,
                    "unchanged": Colour.GREY,
                    "rejected": Colour.VERMILLION,
                }.items()
            ],
        ),
        Panel(
            title="Attainment expected and seen",
            description="Expected of the fleet decided on, and what requests got since the last"
            f" look. Empty with mode load, or while none ends.{_NO_PLANNER}",
            unit="percentunit",
            lowest=None,
            highest=1,
            queries=[
                Query(
                    expr=f"planner_predicted_attainment{_OF_NAMESPACE}",
                    legend=f"expected {_PLANNER}",
                    colour=Colour.ORANGE,
                ),
                Query(expr=f"planner_sla_attainment{_OF_NAMESPACE}", legend=f"seen {_PLANNER}"),
                Query(
                    expr=f"planner_target_attainment{_OF_NAMESPACE}",
                    legend=f"target {_PLANNER}",
                    colour=Colour.GREY,
                    is_limit=True,
                ),
            ],
        ),
    ],
)

_FORECASTS = Section(
    title="Forecasts",
    panels=[
        Panel(
            title="Forecast and demand: $role",
            description="Replicas of work. The forecast is shifted to the time that it was for:"
            " choose above how far forecasts look. With its headroom it should lie above the"
            f" demand. Empty with mode load, or before a request has ended.{_NO_PLANNER}",
            unit="none",
            width=24,
            by_role=True,
            queries=[
                Query(expr=f"planner_demand_replicas{_OF_ROLE}", legend=f"demand {_PLANNER}"),
                Query(
                    expr=f"planner_forecast_replicas{_OF_ROLE} offset $lead",
                    legend=f"forecast {_PLANNER}",
                    colour=Colour.ORANGE,
                ),
                Query(
                    expr=f"planner_forecast_replicas{_OF_ROLE} offset $lead"
                    f" * planner_headroom_ratio{_OF_ROLE} offset $lead",
                    legend=f"with headroom {_PLANNER}",
                    colour=Colour.GREY,
                    is_limit=True,
                ),
            ],
        ),
        Panel(
            title="Headroom",
            description="Factor on the forecast that past errors ask for. Far above 1.5, forecasts"
            f" were off lately: see whether bursts outrun a cold start.{_NO_PLANNER}",
            unit="none",
            lowest=None,
            queries=_each_role("planner_headroom_ratio"),
        ),
        Panel(
            title="How far forecasts look",
            description=f"A cold start and an interval.{_NO_PLANNER}",
            unit="s",
            kind=Kind.STAT,
            width=6,
            queries=[Query(expr=f"planner_lead_seconds{_OF_NAMESPACE}", legend=_PLANNER)],
        ),
        Panel(
            title="Between two decisions",
            description=f"The interval.{_NO_PLANNER}",
            unit="s",
            kind=Kind.STAT,
            width=6,
            queries=[Query(expr=f"planner_interval_seconds{_OF_NAMESPACE}", legend=_PLANNER)],
        ),
    ],
)

_CORRECTIONS = Section(
    title="Corrections",
    panels=[
        Panel(
            title="Engines against their profile",
            description="Time that steps take over what the profile says: above 1 engines are"
            f" slower. Far from 1 for long, measure them again: planner profile.{_NO_PLANNER}",
            unit="none",
            lowest=None,
            queries=[
                *_each_role("planner_slowness_ratio"),
                Query(expr="vector(1)", legend="profile", colour=Colour.GREY, is_limit=True),
            ],
        ),
        Panel(
            title="Late because of the role",
            description="Smoothed share of requests. Above what the SLA allows, headroom is added."
            f" Empty until enough was seen.{_NO_PLANNER}",
            unit="percentunit",
            queries=[
                *_each_role("planner_late_share"),
                Query(
                    expr=f"1 - planner_target_attainment{_OF_NAMESPACE}",
                    legend=f"allowed {_PLANNER}",
                    colour=Colour.GREY,
                    is_limit=True,
                ),
            ],
        ),
    ],
)


def _tick(quantile: float) -> str:
    buckets = f"planner_tick_seconds_bucket{_OF_NAMESPACE}[$__rate_interval]"
    return f"histogram_quantile({quantile}, sum by (namespace, le) (rate({buckets})))"


_LOOP = Section(
    title="The loop",
    panels=[
        Panel(
            title="Age of what is known",
            description="Since the last decision, and of the oldest figure that it was made with."
            f" Empty while nothing is known.{_NO_PLANNER}",
            unit="s",
            width=8,
            queries=[
                Query(
                    expr=f"time() - planner_last_decision_timestamp_seconds{_OF_NAMESPACE}",
                    legend=f"decision {_PLANNER}",
                ),
                Query(
                    expr=f"planner_metrics_age_seconds{_OF_NAMESPACE}",
                    legend=f"figures {_PLANNER}",
                    colour=Colour.ORANGE,
                ),
            ],
        ),
        Panel(
            title="Duration of a turn",
            description="Looking, deciding and acting. Near the interval, something answers slowly:"
            f" its log, with -v.{_NO_PLANNER}",
            unit="s",
            width=8,
            queries=[
                Query(expr=_tick(0.99), legend="p99 {{namespace}}", colour=Colour.ORANGE),
                Query(expr=_tick(0.5), legend="p50 {{namespace}}"),
            ],
        ),
        Panel(
            title="Planners and failed turns",
            description="Planners that act and that observe; turns that ended in an error, per"
            f" minute. Each has a traceback in the log. Zero is good.{_NO_PLANNER}",
            unit="none",
            width=8,
            queries=[
                Query(
                    expr=f"sum by (namespace) (planner_acts{_OF_NAMESPACE})",
                    legend="acting {{namespace}}",
                ),
                Query(
                    expr=f"count by (namespace) (planner_acts{_OF_NAMESPACE} == 0)",
                    legend="observing {{namespace}}",
                    colour=Colour.SKY,
                ),
                Query(
                    expr="60 * sum by (namespace)"
                    f" (rate(planner_failed_ticks_total{_OF_NAMESPACE}[$__rate_interval]))",
                    legend="failed turns {{namespace}}",
                    colour=Colour.VERMILLION,
                ),
            ],
        ),
    ],
)

DASHBOARD = Dashboard(
    title="Planner / Decisions",
    description="Why there are so many replicas, and how good forecasts and corrections are.",
    sections=[_REASONS, _FORECASTS, _CORRECTIONS, _LOOP],
    asks_lead=True,
)
