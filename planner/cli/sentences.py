"""One sentence for each step of a decision: its reason and the figures that it went by."""

from collections.abc import Callable, Mapping
from math import isfinite

from planner.core.plan import Reason, Step
from planner.core.units import format_duration, format_rate, format_share

_Inputs = Mapping[str, float]


def sentence(step: Step) -> str:
    """Return *step* as ``Reason: why``, such as ``GpuBudget: all replicas may hold 8 GPUs``."""
    try:
        return f"{step.reason}: {_SENTENCES[step.reason](step, step.inputs)}"
    except KeyError:  # an input that this program does not know, or no longer has
        figures = ", ".join(f"{name} {value:.4g}" for name, value in step.inputs.items())
        return f"{step.reason}: {figures or f'{step.before} -> {step.after}'}"


def _forecast(_: Step, inputs: _Inputs) -> str:
    return (
        f"{format_rate(inputs['demand_rps'])} expected in "
        f"{format_duration(inputs['horizon_seconds'])}, one replica holds "
        f"{format_rate(inputs['capacity_rps'])} within the SLA"
    )


def _tolerance(step: Step, inputs: _Inputs) -> str:
    return f"{inputs['replicas_needed']:.2f} needed, so near that {step.after} stays"


def _lateness(_: Step, inputs: _Inputs) -> str:
    late, factor = inputs["late_share"], inputs["headroom_factor"]
    return f"{format_share(late)} of requests are late, so {factor:.2g} times the headroom"


def _backlog(_: Step, inputs: _Inputs) -> str:
    seconds = inputs["backlog_seconds"]
    wait = format_duration(seconds) if isfinite(seconds) else "without end"
    return f"what waits takes {wait} to clear"


def _kv(_: Step, inputs: _Inputs) -> str:
    return f"{format_share(inputs['kv_usage'])} of KV blocks are in use"


def _load(_: Step, inputs: _Inputs) -> str:
    return f"the load is {inputs['load_over_threshold']:.2f} of its threshold"


def _consolidation(step: Step, _: _Inputs) -> str:
    return f"{step.before} would not hold the SLA"


def _stabilized(step: Step, inputs: _Inputs) -> str:
    seconds = format_duration(inputs["remaining_seconds"])
    return f"{step.before} would do, {step.after} held for {seconds} more"


def _unavailable(step: Step, _: _Inputs) -> str:
    return f"what happens is not known, so {step.after} stays"


def _warming_up(_: Step, inputs: _Inputs) -> str:
    seconds = inputs.get("remaining_seconds")
    if seconds is None:
        return "no request has finished yet, so nothing is known of their length"
    return f"too little has been seen to remove replicas, {format_duration(seconds)} more"


def _infeasible(_: Step, inputs: _Inputs) -> str:
    return f"no number of replicas meets it for prompts of {inputs['isl']:.0f} tokens"


def _budget(_: Step, inputs: _Inputs) -> str:
    return f"all replicas together may hold {inputs['max_gpus']:.0f} GPUs"


def _shrink_first(_: Step, inputs: _Inputs) -> str:
    return f"of {inputs['max_gpus']:.0f} GPUs none is free until draining replicas are gone"


def _too_few(_: Step, inputs: _Inputs) -> str:
    return f"the minimum is {inputs['minimum']:.0f}"


def _too_many(_: Step, inputs: _Inputs) -> str:
    return f"the maximum is {inputs['maximum']:.0f}"


_SENTENCES: Mapping[Reason, Callable[[Step, _Inputs], str]] = {
    Reason.DEMAND_FORECAST: _forecast,
    Reason.WITHIN_TOLERANCE: _tolerance,
    Reason.ATTAINMENT_BELOW_TARGET: _lateness,
    Reason.BACKLOG: _backlog,
    Reason.KV_PRESSURE: _kv,
    Reason.LOAD_THRESHOLD: _load,
    Reason.CONSOLIDATION_REFUSED: _consolidation,
    Reason.SCALE_DOWN_STABILIZED: _stabilized,
    Reason.METRICS_UNAVAILABLE: _unavailable,
    Reason.WARMING_UP: _warming_up,
    Reason.SLA_INFEASIBLE: _infeasible,
    Reason.GPU_BUDGET: _budget,
    Reason.SHRINK_BEFORE_GROW: _shrink_first,
    Reason.TOO_FEW_REPLICAS: _too_few,
    Reason.TOO_MANY_REPLICAS: _too_many,
}
