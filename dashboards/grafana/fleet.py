"""Fleet: is the SLA met, with how many replicas and GPUs, and at what cost."""

from dashboards.grafana.layout import Dashboard, Section
from dashboards.grafana.panels import Colour, Kind, Panel, Query, chosen

_OF_MODEL = chosen("namespace", "model")
_OF_NAMESPACE = chosen("namespace")
_FIRING = chosen("namespace", also='alertname=~"Planner.*",alertstate="firing"')
_BY = "{{namespace}} {{model}}"
_NO_REQUESTS = " Empty while no request ends."
_NO_PLANNER = " Empty without a planner: is its --metrics-port set, and scraped?"
_BUDGET = "namespace_model:planner_error_budget"
_BURNS = ((None, Colour.BLUE), (1.0, Colour.ORANGE), (6.0, Colour.VERMILLION))


def _figure(
    title: str,
    description: str,
    unit: str,
    expr: str,
    *,
    legend: str = _BY,
    steps: tuple[tuple[float | None, Colour], ...] = ((None, Colour.BLUE),),
) -> Panel:
    return Panel(
        title=title,
        description=description,
        unit=unit,
        queries=[Query(expr=expr, legend=legend)],
        kind=Kind.STAT,
        width=4,
        height=5,
        lowest=None,
        steps=steps,
    )


def _latency(name: str, metric: str, target: str) -> Panel:
    quantiles = {99: Colour.VERMILLION, 95: Colour.ORANGE, 50: Colour.BLUE}
    recorded = f"namespace_model:planner_{metric}_seconds"
    return Panel(
        title=name,
        description=f"Percentiles of requests over five minutes, and the target.{_NO_REQUESTS}"
        " Targets are edges of the buckets, so which side of the target one is on is exact.",
        unit="s",
        queries=[
            *(
                Query(
                    expr=f"{recorded}:p{q}_rate5m{_OF_MODEL}",
                    legend=f"p{q} {_BY}",
                    colour=colour,
                )
                for q, colour in quantiles.items()
            ),
            Query(
                expr=f"max by (namespace) ({target}{_OF_NAMESPACE})",
                legend="target {{namespace}}",
                colour=Colour.GREY,
                is_limit=True,
            ),
        ],
    )


_SLA = Section(
    title="Is the SLA met?",
    panels=[
        _figure(
            "Attainment, last hour",
            f"Share of the requests that met every target.{_NO_REQUESTS}",
            "percentunit",
            f"namespace_model:planner_attainment:ratio_rate1h{_OF_MODEL}",
        ),
        _figure(
            "Attainment to be kept",
            f"What the planner keeps.{_NO_PLANNER}",
            "percentunit",
            f"namespace_model:planner_target_attainment:max{_OF_MODEL}",
        ),
        _figure(
            "Burn rate, last hour",
            "How fast the error budget is spent: at 1 the budget of 30 days lasts 30 days."
            f" From 1 on more are late than allowed.{_NO_REQUESTS}",
            "none",
            f"{_BUDGET}:burn_rate1h{_OF_MODEL}",
            steps=_BURNS,
        ),
        _figure(
            "Error budget left, 30 days",
            "100% is untouched, 0% is spent, below is overspent. Of the time that Prometheus keeps,"
            f" where that is shorter.{_NO_REQUESTS}",
            "percentunit",
            f"{_BUDGET}:left30d{_OF_MODEL}",
            steps=((None, Colour.VERMILLION), (0.0, Colour.ORANGE), (0.5, Colour.BLUE)),
        ),
        _figure(
            "Alerts that fire",
            "Of deploy/prometheus/rules/alerts.yml. 0 is good, if the rules are loaded.",
            "none",
            f"count(ALERTS{_FIRING}) or vector(0)",
            legend="firing",
            steps=((None, Colour.BLUE), (1.0, Colour.VERMILLION)),
        ),
        _figure(
            "Since the last decision",
            f"Much above the interval, the planner hangs: its log says where.{_NO_PLANNER}",
            "s",
            "time() - max by (namespace, deployment)"
            f" (planner_last_decision_timestamp_seconds{_OF_NAMESPACE})",
            legend="{{namespace}} {{deployment}}",
        ),
        Panel(
            title="Attainment",
            description=f"Share of the requests that met every target.{_NO_REQUESTS}",
            unit="percentunit",
            lowest=None,
            highest=1,
            queries=[
                Query(
                    expr=f"namespace_model:planner_attainment:ratio_rate5m{_OF_MODEL}",
                    legend=f"5 minutes {_BY}",
                    colour=Colour.SKY,
                ),
                Query(
                    expr=f"namespace_model:planner_attainment:ratio_rate1h{_OF_MODEL}",
                    legend=f"1 hour {_BY}",
                ),
                Query(
                    expr=f"namespace_model:planner_target_attainment:max{_OF_MODEL}",
                    legend=f"target {_BY}",
                    colour=Colour.GREY,
                    is_limit=True,
                ),
            ],
        ),
        Panel(
            title="Error budget burn rate",
            description="1 spends the budget of 30 days in 30 days; alerts begin at 14.4 over an"
            f" hour and 6 over six hours.{_NO_REQUESTS}",
            unit="none",
            queries=[
                Query(
                    expr=f"{_BUDGET}:burn_rate5m{_OF_MODEL}",
                    legend=f"5 minutes {_BY}",
                    colour=Colour.SKY,
                ),
                Query(expr=f"{_BUDGET}:burn_rate1h{_OF_MODEL}", legend=f"1 hour {_BY}"),
                Query(
                    expr=f"{_BUDGET}:burn_rate6h{_OF_MODEL}",
                    legend=f"6 hours {_BY}",
                    colour=Colour.ORANGE,
                ),
                Query(expr="vector(1)", legend="allowed", colour=Colour.GREY, is_limit=True),
            ],
        ),
        _latency("TTFT", "time_to_first_token", "planner_target_ttft_seconds"),
        _latency("Mean ITL of a request", "inter_token_latency", "planner_target_itl_seconds"),
    ],
)


def _replicas(state: str) -> str:
    of_role = chosen("namespace", "role")
    return f"namespace_deployment_role:planner_{state}_replicas:max{of_role}"


_REPLICAS = Section(
    title="Replicas",
    panels=[
        Panel(
            title="Replicas: $role",
            description="Decided on; requested, which serve or will serve; ready; and draining."
            f" Desired above ready for long: replicas do not start.{_NO_PLANNER}",
            unit="none",
            width=24,
            is_stepped=True,
            by_role=True,
            queries=[
                Query(
                    expr=_replicas("desired"),
                    legend="desired {{namespace}} {{deployment}}",
                    colour=Colour.GREY,
                    is_limit=True,
                ),
                Query(
                    expr=_replicas("current"),
                    legend="requested {{namespace}} {{deployment}}",
                    colour=Colour.ORANGE,
                ),
                Query(expr=_replicas("ready"), legend="ready {{namespace}} {{deployment}}"),
                Query(
                    expr=_replicas("draining"),
                    legend="draining {{namespace}} {{deployment}}",
                    colour=Colour.PURPLE,
                ),
            ],
        ),
    ],
)


def _gpus(fleet: str) -> str:
    labels = chosen("namespace", also=f'fleet="{fleet}"')
    return f"sum by (namespace) (namespace_deployment_fleet:planner_gpus:max{labels})"


_COST = Section(
    title="GPUs, cost and load",
    panels=[
        Panel(
            title="GPUs",
            description="Held by the fleet as it is, by the one decided on, and the budget, where"
            f" there is one (max_gpus).{_NO_PLANNER}",
            unit="none",
            is_stepped=True,
            queries=[
                Query(expr=_gpus("current"), legend="held {{namespace}}"),
                Query(expr=_gpus("desired"), legend="desired {{namespace}}", colour=Colour.ORANGE),
                Query(
                    expr=_gpus("budget"),
                    legend="budget {{namespace}}",
                    colour=Colour.GREY,
                    is_limit=True,
                ),
            ],
        ),
        Panel(
            title="Cost per hour",
            description="Of the fleet decided on, in the profile's currency. Empty where the"
            " profile has no price of a GPU.",
            unit="none",
            queries=[
                Query(
                    expr=f"max by (namespace, deployment) (planner_cost_per_hour{_OF_NAMESPACE})",
                    legend="{{namespace}} {{deployment}}",
                )
            ],
        ),
        Panel(
            title="Requests",
            description="Arrived, over five minutes. 0 while nobody sends any.",
            unit="reqps",
            queries=[
                Query(
                    expr=f"namespace_model:planner_requests_started:rate5m{_OF_MODEL}",
                    legend=_BY,
                )
            ],
        ),
        Panel(
            title="Tokens given out",
            description="Of ended responses, over five minutes. 0 while none ends.",
            unit="suffix: tok/s",
            queries=[
                Query(expr=f"namespace_model:planner_output_tokens:rate5m{_OF_MODEL}", legend=_BY)
            ],
        ),
    ],
)

DASHBOARD = Dashboard(
    title="Planner / Fleet",
    description="Is the SLA met, with how many replicas and GPUs, and at what cost.",
    sections=[_SLA, _REPLICAS, _COST],
)
