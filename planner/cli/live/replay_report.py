"""The result of a replay on paper."""

from planner.api.document import plain, sla_document
from planner.cli.output import Cell, print_json, print_line, print_table
from planner.core.sla import Sla
from planner.core.units import format_duration, format_share
from planner.replay import Report

_MOST_FAILURES = 5


def print_document(result: Report, sla: Sla | None) -> None:
    """Print *result* as JSON."""
    print_json({**plain(result), "sla": None if sla is None else sla_document(sla)})


def print_report(result: Report, sla: Sla | None) -> None:
    """Print *result* for people."""
    counts = f"{result.requests} requests, {result.completed} completed, {result.failed} failed"
    interrupted = f", {result.interrupted} interrupted" if result.interrupted else ""
    print_line(f"{counts}{interrupted}, in {format_duration(result.duration_seconds)}")
    if sla is not None and result.attainment is not None:
        print_line(f"attainment {format_share(result.attainment)} of SLA {sla}")
    latencies = {"ttft": result.ttft_ms, "itl": result.itl_ms}
    rows: list[list[Cell]] = [
        [name, *(round(value, 1) for value in (p.mean, p.p50, p.p95, p.p99))]
        for name, p in latencies.items()
        if p is not None
    ]
    if rows:
        print_table(["ms", "mean", "p50", "p95", "p99"], rows)
    if result.output_tokens_per_second is not None:
        rate = result.output_tokens_per_second
        print_line(f"{result.output_tokens} tokens out, {rate:.0f} a second")
    for reason, count in list(result.failures.items())[:_MOST_FAILURES]:
        print_line(f"failed {count}: {reason}")
    if result.sent_late:
        print_line(f"{result.sent_late} left over 50ms late: this machine was too busy to measure")
