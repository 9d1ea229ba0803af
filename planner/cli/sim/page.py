"""What simulations came to, for people: a page for one policy, a table for several."""

from planner.api.figures import PERCENTILES, percentiles
from planner.api.runs import Run, Simulation
from planner.cli.decisions import spares_lines
from planner.cli.output import Cell, print_line, print_table
from planner.core.units import format_duration, format_share
from planner.sim.result import Floats, SimResult


def print_page(runs: Simulation) -> None:
    """Print *runs*: a page about a single one, else a table of all."""
    if len(runs.runs) > 1:
        _print_comparison(runs)
    else:
        _print_single(runs)
        if runs.oracle is not None or runs.setting.score_from_seconds:
            _print_scored(runs)
    for line in spares_lines(runs.warm_spares, runs.setting.config.bounds):
        print_line(line)


def window(runs: Simulation) -> str:
    """Return which arrivals are scored, in words."""
    start = runs.setting.score_from_seconds
    if not start:
        return "the whole trace"
    end = format_duration(runs.setting.trace.duration_seconds)
    return f"arrivals from {format_duration(start)} to {end}"


def row(run: Run, runs: Simulation) -> list[Cell]:
    """Return the figures of *run* in the order of `columns`."""
    score = run.score
    over = runs.over_oracle(run)
    cells: list[Cell] = [run.name, format_share(score.attainment), f"{score.gpu_hours:.2f}"]
    if runs.oracle is not None:
        cells.append(None if over is None else f"{over:.2f}x")
    return [
        *cells,
        score.scale_actions,
        _duration(score.ttft_p99_seconds),
        _duration(score.itl_p99_seconds),
        run.result.peak_gpus,
    ]


def columns(runs: Simulation) -> list[str]:
    """Return the names of a row's figures."""
    over = [] if runs.oracle is None else ["over oracle"]
    return [
        "policy", "attainment", "GPU-hours", *over, "scale actions", "p99 ttft", "p99 itl",
        "peak GPUs",
    ]  # fmt: skip


def oracle_row(runs: Simulation) -> list[Cell]:
    """Return the oracle's figures as a row; empty when it was not asked for."""
    best = runs.oracle
    if best is None:
        return []
    figures = [format_share(best.attainment), f"{best.gpu_hours:.2f}", "1.00x"]
    return ["oracle", *figures, None, None, None, best.result.peak_gpus]


def load_line(runs: Simulation) -> str:
    """Return what the load was."""
    trace = runs.setting.trace
    rate = trace.requests_per_second
    told = "" if rate is None else f", {rate:.3g} req/s"
    return f"{trace.name}: {len(trace)} requests in {format_duration(trace.duration_seconds)}{told}"


def _print_comparison(runs: Simulation) -> None:
    print_line(load_line(runs))
    rows = [row(run, runs) for run in runs.runs]
    if runs.oracle is not None:
        rows.append(oracle_row(runs))
    print_table(columns(runs), rows)
    target = format_share(runs.setting.config.sla.attainment)
    print_line(f"target {target}; scored: {window(runs)}; peak GPUs: the whole trace")
    if runs.oracle is not None:
        print_line(_bound(runs))
    wall_seconds = sum(run.wall_seconds for run in runs.runs)
    rate = sum(run.result.requests for run in runs.runs) / wall_seconds
    print_line(f"simulated in {format_duration(wall_seconds)}, {rate:.0f} requests/s")


def _print_single(runs: Simulation) -> None:
    (run,) = runs.runs
    result = run.result
    unfinished = result.requests - result.completed - result.failed
    print_line(
        f"{runs.setting.trace.name}: {result.requests} requests in "
        f"{format_duration(result.duration_seconds)}, {result.failed} failed, "
        f"{unfinished} unfinished"
    )
    targets = (result.sla.ttft_seconds, result.sla.itl_seconds)
    measured = (("ttft", result.ttft_seconds), ("itl", result.itl_seconds))
    print_table(
        ["", *(f"p{p}" for p in PERCENTILES), "target"],
        [
            [name, *_durations(values), _duration(target)]
            for (name, values), target in zip(measured, targets, strict=True)
        ],
    )
    print_line(f"attainment {format_share(result.attainment)}, {_verdict(result)}")
    roles = ", ".join(_range(role, *result.replicas(role)) for role in result.gpus_per_replica)
    print_line(
        f"{result.gpu_seconds / 3600:.2f} GPU-hours, at most {result.peak_gpus} GPUs; {roles}; "
        f"{result.scale_actions} scale actions"
    )
    rate = result.requests / run.wall_seconds
    print_line(f"simulated in {format_duration(run.wall_seconds)}, {rate:.0f} requests/s")


def _print_scored(runs: Simulation) -> None:
    (run,) = runs.runs
    best, over = runs.oracle, runs.over_oracle(run)
    told = (
        ""
        if best is None or over is None
        else f", {over:.2f} times the oracle's {best.gpu_hours:.2f}"
    )
    print_line(
        f"scored: {window(runs)}: attainment {format_share(run.score.attainment)}, "
        f"{run.score.gpu_hours:.2f} GPU-hours{told}"
    )
    if best is not None:
        print_line(_bound(runs))


def _bound(runs: Simulation) -> str:
    best = runs.oracle
    assert best is not None
    # Cold starts and the fleet at the start bind foresight, too.
    only = "only " if best.attainment < runs.setting.config.sla.attainment else ""
    return (
        f"oracle: {only}{format_share(best.attainment)} with {best.gpu_hours:.2f} GPU-hours "
        f"({best.method}); the work alone takes {best.work_bound_gpu_hours:.2f}"
    )


def _durations(seconds: Floats) -> list[Cell]:
    return [_duration(value) for value in percentiles(seconds)]


def _duration(seconds: float | None) -> str | None:
    return None if seconds is None else format_duration(seconds)


def _verdict(result: SimResult) -> str:
    target = format_share(result.sla.attainment)
    met = result.attainment >= result.sla.attainment
    return f"the target of {target} is {'met' if met else 'missed'}"


def _range(role: str, fewest: int, most: int) -> str:
    return f"{role} {fewest}" if fewest == most else f"{role} {fewest} to {most}"
