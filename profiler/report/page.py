"""The report as one HTML file that needs nothing else, not even a network."""

from collections.abc import Iterable, Iterator
from html import escape

from planner.charts.theme import STYLE
from planner.core.profile import Accuracy, EngineProfile, Kind, Profile
from planner.core.units import format_duration, format_share
from profiler.choose import Choice, Topology
from profiler.pareto import operations
from profiler.report import figures
from profiler.report.launch import Launch, manifest, serve_command

_STYLE = (
    "body{max-width:900px;margin:24px auto;padding:0 16px;font-size:14px;line-height:1.45}"
    "h1{font-size:20px}h2{font-size:16px;margin:28px 0 8px}svg{max-width:100%;height:auto}"
    "table{border-collapse:collapse;margin:12px 0}th,td{padding:3px 14px 3px 0;text-align:right}"
    "th:first-child,td:first-child{text-align:left}th{border-bottom:1px solid #8c959f}"
    "p.dim{opacity:.75;margin:4px 0}.miss{color:#d55e00;font-weight:600}"
    "pre{overflow-x:auto;padding:8px 12px;border:1px solid #8c959f66;border-radius:4px}"
)


def page(profile: Profile, choice: Choice, launch: Launch) -> str:
    """Return the report of *profile* and of what was chosen from it."""
    estimated = " (estimated, not measured)" if profile.kind is Kind.ESTIMATED else ""
    title = f"Profile {profile.name}{estimated}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}{_STYLE}</style></head>"
        f'<body class="chart"><h1>{escape(title)}</h1>'
        f"{''.join(_body(profile, choice, launch))}</body></html>\n"
    )


def _body(profile: Profile, choice: Choice, launch: Launch) -> Iterator[str]:
    yield _dim(f"{profile.model} on {profile.gpu}, {profile.engine_version}; {profile.source}")
    yield from map(_dim, profile.notes)
    yield _engines(profile.engines)
    yield from _chosen(profile, choice, launch)
    found = operations(profile.engines, context_tokens=choice.workload.context_tokens)
    if found:
        yield _headed("Throughput against speed", figures.frontier(found, choice.sla))
    for entry in profile.engines:
        yield _headed(
            f"Engine {entry.parallelism}",
            figures.prefill(entry, choice.sla),
            figures.decode(entry, choice.sla),
            figures.residuals(entry),
        )


def _engines(entries: Iterable[EngineProfile]) -> str:
    head = ("engine", "GPUs", "points", "ttft error", "itl error", "KV tokens", "start-up")
    rows = (
        (
            str(entry.parallelism),
            str(entry.parallelism.gpus),
            f"{len(entry.prefill_points)} + {len(entry.decode_points)}",
            _error(entry.prefill_accuracy),
            _error(entry.decode_accuracy),
            str(entry.engine.limits.kv_capacity_tokens),
            "-" if entry.start_up is None else format_duration(entry.start_up.p50_seconds),
        )
        for entry in entries
    )
    told = "Errors are of points that a fit was not given, with the 95 % interval of their mean."
    return _table(head, rows) + _dim(told)


def _chosen(profile: Profile, choice: Choice, launch: Launch) -> Iterator[str]:
    load = choice.workload
    yield _headed(f"For {load.isl:g} tokens in and {load.osl:g} out within {choice.sla}")
    if choice.best is None:
        near = "" if choice.nearest is None else f" Nearest that can be met: {choice.nearest}."
        yield f'<p class="miss">{escape(f"Infeasible: {choice.infeasible}.{near}")}</p>'
        return
    head = ("topology", "fleet", "GPUs", "req/s", "attainment", "goodput per GPU")
    yield _table(head, map(_topology, choice.topologies))
    yield f"<pre>{escape(serve_command(choice.best, choice, launch))}</pre>"
    yield f"<pre>{escape(manifest(choice.best, launch, name=profile.name))}</pre>"


def _topology(topology: Topology) -> tuple[str, ...]:
    roles = topology.sizing.roles
    return (
        "aggregated" if topology.prefill_per_decode is None else "disaggregated",
        ", ".join(f"{part.replicas} {role} {part.parallelism}" for role, part in roles.items()),
        str(topology.sizing.gpus),
        f"{topology.rate_rps:.1f}",
        format_share(topology.sizing.attainment),
        f"{topology.goodput_per_gpu:.3f}/s",
    )


def _error(accuracy: Accuracy | None) -> str:
    if accuracy is None:
        return "-"
    low, high = accuracy.held_out_low, accuracy.held_out_high
    return f"{accuracy.held_out:.1%} ({low:.1%} to {high:.1%})"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = (f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{''.join(lines)}</table>"


def _headed(title: str, *charts: str) -> str:
    # The page's own style sheet has what every chart brings along.
    plain = (chart.replace(f"<style>{STYLE}</style>", "", 1) for chart in charts)
    return f"<h2>{escape(title)}</h2>{''.join(plain)}"


def _dim(text: str) -> str:
    return f'<p class="dim">{escape(text)}</p>'
