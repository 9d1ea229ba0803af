"""Runtime: what waits and runs inside the deployment, and what its engines compute."""

from dashboards.grafana.layout import Dashboard, Section
from dashboards.grafana.panels import ROLES, Colour, Panel, Query, chosen

_OF_MODEL = chosen("namespace", "model")
_BY_MODEL = "{{namespace}} {{model}}"
_NO_WORKERS = " Empty where workers are not scraped: see the planner's /targets."


def _of(role: str) -> str:
    """Return the labels of a role's workers, if it is one of those that are chosen."""
    return chosen("namespace", "model", also=f'component=~"$role",component="{role}"')


def _any_of(role: str) -> str:
    """Return the same of targets, which have no model."""
    return chosen("namespace", also=f'component=~"$role",component="{role}"')


def _with(label: str, value: str) -> str:
    return chosen("namespace", "model", also=f'{label}="{value}"')


def _each_role(expr: str) -> list[Query]:
    """Return a query for each role, in which LABELS stands for those of its workers."""
    return [
        Query(
            expr=expr.replace("LABELS", _of(role)),
            legend=f"{role} {{{{namespace}}}}",
            colour=colour,
        )
        for role, colour in ROLES.items()
    ]


def _rate(metric: str, labels: str = _OF_MODEL) -> str:
    return f"sum by (namespace, model) (rate({metric}{labels}[$__rate_interval]))"


def _total(metric: str) -> str:
    return f"sum by (namespace, model) ({metric}{_OF_MODEL})"


_SUM = "sum by (namespace) ({}LABELS)"

_WAITING = Section(
    title="What waits and runs",
    panels=[
        Panel(
            title="Requests that wait",
            description="For an instance at the frontend, for a place in a batch at workers, and"
            " prefills in the queue. Waiting for long: too few replicas, or none that is ready.",
            unit="none",
            queries=[
                Query(
                    expr=_total("planner_frontend_queued_requests"),
                    legend=f"frontend {_BY_MODEL}",
                    colour=Colour.PURPLE,
                ),
                Query(
                    expr="max by (namespace, model)"
                    f" (planner_worker_prefill_queue_depth{_OF_MODEL})",
                    legend=f"prefill queue {_BY_MODEL}",
                    colour=Colour.VERMILLION,
                ),
                *_each_role(_SUM.format("planner_worker_requests_waiting")),
            ],
        ),
        Panel(
            title="Requests in flight",
            description="Accepted by frontends, and in the batches of each role."
            " Zero while nobody sends any.",
            unit="none",
            queries=[
                Query(
                    expr=_total("planner_frontend_inflight_requests"),
                    legend=f"frontend {_BY_MODEL}",
                    colour=Colour.PURPLE,
                ),
                *_each_role(_SUM.format("planner_worker_requests_running")),
            ],
        ),
        Panel(
            title="Requests in flight of the busiest worker",
            description=f"Far above the mean of its role, routing is uneven.{_NO_WORKERS}",
            unit="none",
            queries=_each_role("max by (namespace) (planner_worker_in_flight_requestsLABELS)"),
        ),
        Panel(
            title="Prompt tokens that wait",
            description=f"Still to be prefilled.{_NO_WORKERS}",
            unit="suffix: tok",
            queries=_each_role(_SUM.format("planner_worker_waiting_prompt_tokens")),
        ),
        Panel(
            title="KV caches in use",
            description="Share of the blocks that requests hold. Near 1 requests wait or are"
            f" preempted.{_NO_WORKERS}",
            unit="percentunit",
            highest=1,
            queries=_each_role(
                "sum by (namespace) (planner_worker_kv_blocks_usedLABELS)"
                " / sum by (namespace) (planner_worker_kv_blocks_totalLABELS)"
            ),
        ),
        Panel(
            title="Preemptions",
            description="Requests that gave their KV blocks to others for a while. Zero is good.",
            unit="cps",
            queries=_each_role(
                "sum by (namespace)"
                " (rate(planner_worker_preemptions_totalLABELS[$__rate_interval]))"
            ),
        ),
    ],
)

_REMOTE = {
    "done": Colour.BLUE,
    "timeout": Colour.ORANGE,
    "unavailable": Colour.PURPLE,
    "failed": Colour.VERMILLION,
    "cancelled": Colour.GREY,
}

_PREFILLS = Section(
    title="Prefills",
    panels=[
        Panel(
            title="Prefills by where, and how they ended",
            description="Sent to prefill workers, by what became of them, and done by decode"
            " workers themselves. Failed ones were given up and are dead letters. Only local ones:"
            " prompts are short, or there is no prefill worker.",
            unit="cps",
            queries=[
                *(
                    Query(
                        expr=_rate(
                            "planner_worker_remote_prefills_total", _with("outcome", outcome)
                        ),
                        legend=f"remote, {outcome} {_BY_MODEL}",
                        colour=colour,
                    )
                    for outcome, colour in _REMOTE.items()
                ),
                Query(
                    expr=_rate("planner_worker_local_prefills_total"),
                    legend=f"local {_BY_MODEL}",
                    colour=Colour.GREEN,
                ),
            ],
        ),
        Panel(
            title="Prompt tokens found in prefix caches",
            description="Share of the prompt tokens that engines have begun."
            " Zero where prompts have no beginning in common.",
            unit="percentunit",
            highest=1,
            queries=_each_role(
                "sum by (namespace)"
                " (rate(planner_worker_prefix_cache_hit_tokens_totalLABELS[$__rate_interval]))"
                " / sum by (namespace)"
                " (rate(planner_worker_prompt_tokens_totalLABELS[$__rate_interval]))"
            ),
        ),
        Panel(
            title="KV that came from other engines",
            description="Bytes a second. Zero without remote prefills, empty where engines do not"
            " tell.",
            unit="binBps",
            queries=[
                Query(
                    expr=_rate("planner_worker_kv_received_bytes_total"),
                    legend=_BY_MODEL,
                )
            ],
        ),
        Panel(
            title="KV transfers",
            description="Prompts whose KV arrived, and those that had to be computed again."
            " Zero without remote prefills; empty where engines do not tell.",
            unit="cps",
            queries=[
                Query(
                    expr=_rate("planner_worker_kv_transfers_received_total"),
                    legend=f"arrived {_BY_MODEL}",
                ),
                Query(
                    expr=_rate("planner_worker_kv_transfers_failed_total"),
                    legend=f"failed {_BY_MODEL}",
                    colour=Colour.VERMILLION,
                ),
            ],
        ),
    ],
)


def _percentile(metric: str, quantile: float) -> str:
    buckets = f"rate({metric}_bucket{_OF_MODEL}[$__rate_interval])"
    return f"histogram_quantile({quantile}, sum by (namespace, model, le) ({buckets}))"


def _percentiles(metric: str) -> list[Query]:
    quantiles = {99: Colour.VERMILLION, 95: Colour.ORANGE, 50: Colour.BLUE}
    return [
        Query(expr=_percentile(metric, q / 100), legend=f"p{q} {_BY_MODEL}", colour=colour)
        for q, colour in quantiles.items()
    ]


def _steps(quantile: float) -> str:
    return (
        f"histogram_quantile({quantile}, sum by (namespace, le)"
        " (rate(planner_worker_step_seconds_bucketLABELS[$__rate_interval])))"
    )


_ENGINES = Section(
    title="Engines",
    panels=[
        Panel(
            title="Tokens",
            description="Prompt tokens computed, and tokens generated, by all engines."
            " Zero while nobody sends requests.",
            unit="suffix: tok/s",
            queries=[
                Query(
                    expr=_rate("planner_worker_prefilled_tokens_total"),
                    legend=f"prefilled {_BY_MODEL}",
                    colour=Colour.ORANGE,
                ),
                Query(
                    expr=_rate("planner_worker_generated_tokens_total"),
                    legend=f"generated {_BY_MODEL}",
                ),
            ],
        ),
        Panel(
            title="Engine steps, p95",
            description="Of decode steps, this is the ITL that they allow. Empty while nothing is"
            f" computed.{_NO_WORKERS}",
            unit="s",
            queries=_each_role(_steps(0.95)),
        ),
        Panel(
            title="Start-up, slowest worker",
            description="From the start of the process until it was ready. The cold start that is"
            f" set (cold_start) should not be less.{_NO_WORKERS}",
            unit="s",
            queries=_each_role("max by (namespace) (planner_worker_start_secondsLABELS)"),
        ),
        Panel(
            title="Workers that answer",
            description="Metrics pages that Prometheus could read."
            " Fewer than are ready: a worker hangs.",
            unit="none",
            is_stepped=True,
            queries=[
                Query(
                    expr=f"count by (namespace) (up{_any_of(role)} == 1)",
                    legend=f"{role} {{{{namespace}}}}",
                    colour=colour,
                )
                for role, colour in ROLES.items()
            ],
        ),
    ],
)

_ENDINGS = {
    "success": Colour.BLUE,
    "invalid": Colour.GREY,
    "unavailable": Colour.ORANGE,
    "deadline": Colour.PURPLE,
    "error": Colour.VERMILLION,
    "disconnected": Colour.SKY,
}

_REQUESTS = Section(
    title="Requests",
    panels=[
        Panel(
            title="Requests by how they ended",
            description="Unavailable: no instance took them. Error: the log of the frontend says"
            " which. Empty while none has ended in that way.",
            unit="reqps",
            queries=[
                Query(
                    expr=_rate("planner_frontend_requests_total", _with("status", status)),
                    legend=f"{status} {_BY_MODEL}",
                    colour=colour,
                )
                for status, colour in _ENDINGS.items()
            ],
        ),
        Panel(
            title="Continued elsewhere, or left",
            description="Responses continued on another instance, which follow drains and crashes,"
            " and clients gone before the end. Zero is ordinary.",
            unit="reqps",
            queries=[
                Query(
                    expr=_rate("planner_frontend_migrations_total"),
                    legend=f"continued {_BY_MODEL}",
                    colour=Colour.ORANGE,
                ),
                Query(
                    expr=_rate("planner_frontend_disconnected_clients_total"),
                    legend=f"left {_BY_MODEL}",
                ),
            ],
        ),
        Panel(
            title="Time to the end",
            description="Of whole requests. Empty while none ends.",
            unit="s",
            width=8,
            queries=_percentiles("planner_frontend_request_duration_seconds"),
        ),
        Panel(
            title="Prompt lengths",
            description="On arrival. Empty while none arrives.",
            unit="suffix: tok",
            width=8,
            queries=_percentiles("planner_frontend_input_sequence_tokens"),
        ),
        Panel(
            title="Response lengths",
            description="Of ended responses. Empty while none ends.",
            unit="suffix: tok",
            width=8,
            queries=_percentiles("planner_frontend_output_sequence_tokens"),
        ),
    ],
)

DASHBOARD = Dashboard(
    title="Planner / Runtime",
    description="What waits and runs inside the deployment, and what its engines compute.",
    sections=[_WAITING, _PREFILLS, _ENGINES, _REQUESTS],
)
