"""What a simulation came to, as JSON and as a page."""

from typing import TYPE_CHECKING

import numpy as np

from planner.cli.decisions import sla_document
from planner.cli.output import Cell, print_json, print_line, print_table
from planner.core.units import format_duration, format_share

if TYPE_CHECKING:
    import numpy.typing as npt

    from planner.sim.result import SimResult

_PERCENTILES = (50, 95, 99)


def print_document(trace: str, result: "SimResult", *, wall_seconds: float) -> None:
    """Print *result* as JSON; percentiles are in milliseconds, None where nothing was measured."""
    print_json(
        {
            "trace": trace,
            "sla": sla_document(result.sla),
            "requests": result.requests,
            "completed": result.completed,
            "failed": result.failed,
            "attainment": result.attainment,
            "ttft_ms": _percentiles(result.ttft_seconds),
            "itl_ms": _percentiles(result.itl_seconds),
            "duration_seconds": result.duration_seconds,
            "gpu_hours": result.gpu_seconds / 3600,
            "gpu_seconds": result.gpu_seconds,
            "peak_gpus": result.peak_gpus,
            "scale_actions": result.scale_actions,
            "replicas": {
                role: dict(zip(("min", "max"), result.replicas(role), strict=True))
                for role in result.gpus_per_replica
            },
            "wall_seconds": wall_seconds,
            "requests_per_second_simulated": result.requests / wall_seconds,
        }
    )


def print_report(trace: str, result: "SimResult", *, wall_seconds: float) -> None:
    """Print *result* for people."""
    unfinished = result.requests - result.completed - result.failed
    print_line(
        f"{trace}: {result.requests} requests in {format_duration(result.duration_seconds)}, "
        f"{result.failed} failed, {unfinished} unfinished"
    )
    targets = (result.sla.ttft_seconds, result.sla.itl_seconds)
    columns = (("ttft", result.ttft_seconds), ("itl", result.itl_seconds))
    print_table(
        ["", *(f"p{p}" for p in _PERCENTILES), "target"],
        [
            [name, *_durations(values), "-" if target is None else format_duration(target)]
            for (name, values), target in zip(columns, targets, strict=True)
        ],
    )
    print_line(f"attainment {format_share(result.attainment)}, {_verdict(result)}")
    roles = ", ".join(_range(role, *result.replicas(role)) for role in result.gpus_per_replica)
    print_line(
        f"{result.gpu_seconds / 3600:.2f} GPU-hours, at most {result.peak_gpus} GPUs; {roles}; "
        f"{result.scale_actions} scale actions"
    )
    rate = result.requests / wall_seconds
    print_line(f"simulated in {format_duration(wall_seconds)}, {rate:.0f} requests/s")


def _percentiles(seconds: "npt.NDArray[np.float64]") -> dict[str, float | None]:
    measured = seconds[np.isfinite(seconds)] * 1e3
    return {
        f"p{p}": float(np.percentile(measured, p)) if len(measured) else None for p in _PERCENTILES
    }


def _durations(seconds: "npt.NDArray[np.float64]") -> list[Cell]:
    values = _percentiles(seconds).values()
    return [None if value is None else format_duration(value / 1e3) for value in values]


def _verdict(result: "SimResult") -> str:
    target = format_share(result.sla.attainment)
    met = result.attainment >= result.sla.attainment
    return f"the target of {target} is {'met' if met else 'missed'}"


def _range(role: str, fewest: int, most: int) -> str:
    return f"{role} {fewest}" if fewest == most else f"{role} {fewest} to {most}"
