"""The figures of simulations, as a document."""

from typing import TYPE_CHECKING

import numpy as np

from planner.api.document import Document, sla_document
from planner.sim.result import Floats, SimResult
from planner.sim.score import Score

if TYPE_CHECKING:
    from planner.api.runs import Run, Simulation

PERCENTILES = (50, 95, 99)


def simulation_document(runs: "Simulation") -> Document:
    """Return one policy's figures, or a list of them when several are compared."""
    if len(runs.runs) == 1:
        (run,) = runs.runs
        return {**_head(runs, run.result), **_run(run, runs), **_oracle(runs)}
    listed = [_run(run, runs) for run in runs.runs]
    return {**_head(runs, runs.result), "runs": listed, **_oracle(runs)}


def percentiles(seconds: Floats) -> list[float | None]:
    """Return `PERCENTILES` of what was measured, in seconds; None where nothing was."""
    measured = seconds[np.isfinite(seconds)]
    if not len(measured):
        return [None] * len(PERCENTILES)
    return [float(value) for value in np.percentile(measured, PERCENTILES)]


def _head(runs: "Simulation", result: SimResult) -> Document:
    return {"trace": runs.setting.trace.name, "sla": sla_document(result.sla)}


def _run(run: "Run", runs: "Simulation") -> Document:
    """Return the figures of the whole trace, and under `scored` those of the scored window."""
    result = run.result
    document: Document = {
        "policy": run.name,
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
        "wall_seconds": run.wall_seconds,
        "requests_per_second_simulated": result.requests / run.wall_seconds,
        "scored": _score(run.score, runs),
    }
    if runs.oracle is not None:
        document["gpu_hours_over_oracle"] = runs.over_oracle(run)
    if spares := run.warm_spares:
        document["warm_spares"] = {
            role: {"replicas": step.after, "spares": int(step.inputs["warm_spares"])}
            for role, step in spares.items()
        }
    return document


def _score(score: Score, runs: "Simulation") -> Document:
    return {
        "from_seconds": runs.setting.score_from_seconds,
        "to_seconds": runs.setting.trace.duration_seconds,
        "requests": score.requests,
        "attainment": score.attainment,
        "gpu_hours": score.gpu_hours,
        "scale_actions": int(score.scale_actions),
        "ttft_p99_ms": _milliseconds(score.ttft_p99_seconds),
        "itl_p99_ms": _milliseconds(score.itl_p99_seconds),
    }


def _oracle(runs: "Simulation") -> Document:
    """Return the oracle's figures in the scored window; nothing when it was not asked for."""
    best = runs.oracle
    if best is None:
        return {}
    return {
        "oracle": {
            "gpu_hours": best.gpu_hours,
            "attainment": best.attainment,
            "method": best.method,
            "work_bound_gpu_hours": best.work_bound_gpu_hours,
            "from_seconds": runs.setting.score_from_seconds,
            "to_seconds": runs.setting.trace.duration_seconds,
        }
    }


def _percentiles(seconds: Floats) -> Document:
    values = percentiles(seconds)
    return {f"p{p}": _milliseconds(value) for p, value in zip(PERCENTILES, values, strict=True)}


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3
