"""The end of `planner profile`: the files, the summary, and the best configuration as a command."""

from pathlib import Path

from planner.api.document import plain
from planner.cli.output import Cell, notice, print_json, print_line, print_table
from planner.cli.profiling.found import Found
from planner.cli.profiling.wanted import Results
from planner.core.profile import Accuracy, EngineProfile
from planner.core.units import format_share
from planner.core.workload import Workload
from planner.errors import PlannerError
from profiler.choose import Choice, Topology
from profiler.document import render
from profiler.exchange.npz import export_npz
from profiler.pareto import operations
from profiler.report import Launch, page, plot, serve_command


def finish(found: Found, results: Results) -> int:
    """Write the files of *found*, print what it came to, and return the exit code."""
    out = results.out or Path(f"{found.profile.name}.json")
    _write(out, render(found.profile.to_dict()) + "\n")
    launch = Launch(
        profile=str(out), engine=found.engine, model=found.model, whole=found.rate_given
    )
    if results.report is not None:
        _write(results.report, page(found.profile, found.choice, launch))
    if results.npz is not None:
        export_npz(found.profile.engines[0], results.npz)
    show = _print_document if results.output == "json" else _print_report
    show(found, out, launch)
    if results.report is not None:
        notice(f"report: {results.report}")
    return found.exit_code


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PlannerError(f"{path}: {error.strerror}", hint="another place: --out FILE") from error


def _print_document(found: Found, out: Path, launch: Launch) -> None:
    choice = found.choice
    best = choice.best
    print_json(
        {
            "file": str(out),
            "profile": found.profile.to_dict(),
            "sla": str(choice.sla),
            "workload": _workload_document(choice.workload),
            "topologies": [_topology_document(each) for each in choice.topologies],
            "candidates": plain(choice.candidates),
            "infeasible": choice.infeasible,
            "nearest_sla": None if choice.nearest is None else str(choice.nearest),
            "command": None if best is None else serve_command(best, choice, launch),
            "failures": list(found.failures),
        }
    )


def _workload_document(load: Workload) -> dict[str, float]:
    document = {"rate_rps": load.rate_rps, "isl": load.isl, "osl": load.osl}
    return document | ({"isl_p99": load.isl_quantile(0.99)} if load.isl_variance else {})


def _topology_document(topology: Topology) -> dict[str, object]:
    return {
        "roles": {
            str(role): {"replicas": part.replicas, "parallelism": str(part.parallelism)}
            for role, part in topology.sizing.roles.items()
        },
        "gpus": topology.sizing.gpus,
        "attainment": topology.sizing.attainment,
        "rate_rps": topology.rate_rps,
        "goodput_per_gpu": topology.goodput_per_gpu,
        "prefill_per_decode": topology.prefill_per_decode,
    }


def _print_report(found: Found, out: Path, launch: Launch) -> None:
    profile, choice = found.profile, found.choice
    print_line(
        f"{profile.name}: {profile.model} on {profile.gpu}, {profile.engine_version},"
        f" {profile.kind}"
    )
    print_table(
        ["parallelism", "GPUs", "points", "ttft error", "itl error", "KV tokens", "start-up"],
        [_engine_row(entry) for entry in profile.engines],
    )
    print_line("errors are of points that a fit was not given, with their 95 % interval")
    for note in profile.notes:
        print_line(f"note: {note}")
    print_line()
    context = choice.workload.context_tokens
    print_line(plot(operations(profile.engines, context_tokens=context), sla=choice.sla))
    _print_choice(choice)
    for failure in found.failures:
        notice(f"failed: {failure}")
    print_line(f"\nwrote {out}")
    if choice.best is not None:
        print_line(f"  {serve_command(choice.best, choice, launch)}")


def _engine_row(entry: EngineProfile) -> list[Cell]:
    start = entry.start_up
    return [
        str(entry.parallelism),
        entry.parallelism.gpus,
        len(entry.prefill_points) + len(entry.decode_points),
        _error(entry.prefill_accuracy),
        _error(entry.decode_accuracy),
        entry.engine.limits.kv_capacity_tokens,
        None if start is None else f"{start.p50_seconds:.1f}s",
    ]


def _error(accuracy: Accuracy | None) -> str | None:
    if accuracy is None:
        return None
    low, high = accuracy.held_out_low, accuracy.held_out_high
    return f"{accuracy.held_out:.1%} ({low:.1%} to {high:.1%})"


def _print_choice(choice: Choice) -> None:
    load = choice.workload
    long = f" (99 % below {load.isl_quantile(0.99):.0f})" if load.isl_variance else ""
    print_line(f"\nfor {load.isl:g} tokens in{long}, {load.osl:g} out within {choice.sla}:")
    if choice.best is None:
        nearest = "" if choice.nearest is None else f"; nearest that can be met: {choice.nearest}"
        print_line(f"infeasible: {choice.infeasible}{nearest}")
        return
    print_table(
        ["", "each", "P:D", "GPUs", "req/s", "attainment", "goodput per GPU"],
        [_topology_row(topology) for topology in choice.topologies],
    )
    if len(choice.topologies) > 1:
        best, other = (topology.goodput_per_gpu for topology in choice.topologies[:2])
        print_line(f"best: {_kind(choice.topologies[0])}, {best / other:.2f}x the other")


def _topology_row(topology: Topology) -> list[Cell]:
    roles = topology.sizing.roles
    ratio = topology.prefill_per_decode
    return [
        _kind(topology),
        ", ".join(f"{role} {part.parallelism}" for role, part in roles.items()),
        None if ratio is None else f"{ratio:.2f}",
        f"{topology.sizing.gpus} (="
        + "+".join(f"{part.replicas}x{part.parallelism.gpus}" for part in roles.values()) + ")",
        f"{topology.rate_rps:.1f}",
        format_share(topology.sizing.attainment),
        f"{topology.goodput_per_gpu:.3f}/s",
    ]  # fmt: skip


def _kind(topology: Topology) -> str:
    return "aggregated" if topology.prefill_per_decode is None else "disaggregated"
