"""What a sweep will do, printed before it starts: what fits and why, how many points, how long."""

from planner.api.document import plain
from planner.cli.output import Cell, print_json, print_line, print_table
from planner.cli.profiling.setting import Setting
from planner.core.units import format_duration
from profiler.plan.memory import Verdict
from profiler.plan.sweep_plan import PlannedEngine

_GIGA = 1e9


def print_plan(setting: Setting, *, output: str) -> None:
    """Print the plan of *setting*."""
    if output == "json":
        print_json(_document(setting))
        return
    plan = setting.plan
    print_line(f"{setting.kind.model_name} on {setting.gpu}, {setting.kind.version}")
    if setting.simulated is None:
        print_table(
            [
                "GB per GPU",
                "usable",
                "weights",
                "activations",
                "overhead",
                "left for KV",
                "tokens",
                "",
            ],
            [_memory_row(found) for found in plan.verdicts],
        )
    print_table(
        ["parallelism", "GPUs", "prefill points", "decode points", "about"],
        [_row(engine) for engine in plan.engines],
    )
    if plan.pair is not None:
        print_line(f"and KV from one {plan.pair} to another, about {_seconds(plan.pair_seconds)}")
    for parallelism, why in plan.left_out.items():
        print_line(f"{parallelism} is left out: {why}")
    for note in plan.notes:
        print_line(f"note: {note}")
    print_line(summary(setting))


def summary(setting: Setting) -> str:
    """Return the plan in one line."""
    plan = setting.plan
    engines = len(plan.engines)
    most = plan.gpus
    return (
        f"{plan.points} points of {engines} engine{'s' if engines > 1 else ''} one after the other,"
        f" on at most {most} GPU{'s' if most > 1 else ''}, about "
        f"{_seconds(plan.seconds)} (an estimate)"
    )


def _memory_row(found: Verdict) -> list[Cell]:
    memory = found.memory
    parts = (memory.usable, memory.weights, memory.activations, memory.overhead, memory.kv)
    return [
        str(found.parallelism),
        *(f"{part / _GIGA:.1f}" for part in parts),
        memory.kv_capacity_tokens,
        "fits" if found.fits else "; ".join(found.problems),
    ]


def _row(engine: PlannedEngine) -> list[Cell]:
    return [
        str(engine.parallelism),
        engine.parallelism.gpus,
        engine.effort.prefill_points,
        engine.effort.decode_points,
        _seconds(engine.seconds),
    ]


def _seconds(seconds: float) -> str:
    return format_duration(round(seconds))


def _document(setting: Setting) -> dict[str, object]:
    plan = setting.plan
    return {
        "model": setting.kind.model_name,
        "gpu": setting.gpu,
        "engine_version": setting.kind.version,
        "points": plan.points,
        "estimated_seconds": plan.seconds,
        "engines": [
            {
                "parallelism": str(engine.parallelism),
                "gpus": engine.parallelism.gpus,
                "prefill_points": engine.effort.prefill_points,
                "decode_points": engine.effort.decode_points,
                "estimated_seconds": engine.seconds,
            }
            for engine in plan.engines
        ],
        "pair": None if plan.pair is None else str(plan.pair),
        "memory": None if setting.simulated else [_memory_document(v) for v in plan.verdicts],
        "left_out": {str(parallelism): why for parallelism, why in plan.left_out.items()},
        "notes": list(plan.notes),
    }


def _memory_document(found: Verdict) -> dict[str, object]:
    memory = found.memory
    return {
        "parallelism": str(found.parallelism),
        "bytes_per_gpu": plain(memory),
        "kv_capacity_tokens": memory.kv_capacity_tokens,
        "problems": list(found.problems),
    }
