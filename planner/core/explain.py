"""Decisions in words: one sentence a step, from the very figures that moved the number.

`plan`, `explain`, `history` and the dashboard print these; operators search for the reasons.
"""

from collections.abc import Callable, Mapping

from planner.core.observation import Observation
from planner.core.plan import Decision, Reason, Step
from planner.core.units import format_duration, format_rate, format_share


def explain(decision: Decision) -> str:
    """Return why *decision* ends where it does, such as "TooManyReplicas: the maximum is 4"."""
    return sentence(decision.steps[-1]) if decision.steps else "no reason recorded"


def sentence(step: Step) -> str:
    """Return the reason of *step* with a sentence: "Backlog: 1.2s of prefill work waits".

    A step from an old journal may lack figures; it is told with those that it has.
    """
    try:
        return f"{step.reason}: {_SENTENCES[step.reason](step)}"
    except KeyError:
        figures = ", ".join(f"{name} {value:.4g}" for name, value in step.inputs.items())
        return f"{step.reason}: {figures or f'{step.before} -> {step.after}'}"


def sight(observation: Observation) -> str:
    """Return what was seen, in words; what was not known is said to be so."""
    traffic = observation.traffic
    parts = []
    if traffic is None or not traffic.seconds:
        parts.append("traffic unknown")
    else:
        parts.append(f"{format_rate(traffic.arrived / traffic.seconds)} arrived")
        if traffic.arrived:
            parts.append(f"{traffic.isl_sum / traffic.arrived:.0f} tokens in")
        if traffic.finished:
            parts.append(f"{traffic.osl_sum / traffic.finished:.0f} out")
    for role, fleet in observation.fleet.items():
        states = (("starting", fleet.starting), ("draining", fleet.draining))
        also = "".join(f" + {count} {state}" for state, count in states if count)
        parts.append(f"{role} {fleet.ready} ready{also}")
    return ", ".join([*parts, f"metrics {format_duration(observation.age_seconds)} old"])


def _forecast(step: Step) -> str:
    horizon = format_duration(step.inputs["horizon_seconds"])
    forecast, headroom = step.inputs["forecast_replicas"], step.inputs["headroom"]
    told = f"{forecast:.3g} replicas of work expected in {horizon}, times {headroom:.2f}"
    setting = step.inputs.get("headroom_setting", 1.0)
    return f"{told} for past errors" + ("" if setting == 1 else f", times {setting:g} as set")


def _bursts(step: Step) -> str:
    off, spares = step.inputs["headroom"], step.inputs["warm_spares"]
    held = f"so {spares:.0f} of {step.after} replicas are held as warm spares"
    return f"forecasts were off by {off:.1f}x, {held if spares else 'which twice of them covers'}"


def _tolerance(step: Step) -> str:
    return f"{_forecast(step)}; {step.inputs['replicas_needed']:.0f} would only just be needed"


def _load(step: Step) -> str:
    return f"the load is {format_share(step.inputs['load_over_threshold'])} of its threshold"


def _backlog(step: Step) -> str:
    return f"{format_duration(step.inputs['backlog_seconds'])} of prefill work waits"


def _kv(step: Step) -> str:
    return f"the ready replicas are {step.inputs['fullness']:.0%} full"


def _late(step: Step) -> str:
    late = format_share(step.inputs["late_share"])
    return f"{late} of requests are late, so the headroom is {step.inputs['headroom_factor']:.2f}x"


def _stabilized(step: Step) -> str:
    remaining = format_duration(step.inputs["remaining_seconds"])
    return f"{step.before} would do, held for {remaining} more"


def _warming_up(step: Step) -> str:
    if "remaining_seconds" not in step.inputs:
        return "no request has finished yet, so their lengths are unknown"
    remaining = format_duration(step.inputs["remaining_seconds"])
    return f"{step.before} would do, but the history is {remaining} too short to shrink on"


def _unavailable(step: Step) -> str:
    age = step.inputs.get("age_seconds", 0.0)
    return "nothing current is known, held" + (f"; {format_duration(age)} old" if age else "")


def _infeasible(step: Step) -> str:
    return f"no number of replicas meets it for prompts of {step.inputs['isl']:.0f} tokens"


_SENTENCES: Mapping[Reason, Callable[[Step], str]] = {
    Reason.DEMAND_FORECAST: _forecast,
    Reason.BURSTS: _bursts,
    Reason.LOAD_THRESHOLD: _load,
    Reason.BACKLOG: _backlog,
    Reason.KV_PRESSURE: _kv,
    Reason.ATTAINMENT_BELOW_TARGET: _late,
    Reason.CONSOLIDATION_REFUSED: lambda step: (
        f"a need of {step.inputs['need_replicas']:.3g} is too near "
        f"{step.inputs['lasting_need_replicas']:.3g} to remove more"
    ),
    Reason.WITHIN_TOLERANCE: _tolerance,
    Reason.SCALE_DOWN_STABILIZED: _stabilized,
    Reason.METRICS_UNAVAILABLE: _unavailable,
    Reason.WARMING_UP: _warming_up,
    Reason.SLA_INFEASIBLE: _infeasible,
    Reason.GPU_BUDGET: lambda step: f"{step.after} fit into {step.inputs['max_gpus']:.0f} GPUs",
    Reason.SHRINK_BEFORE_GROW: lambda _: "the GPUs for more are held by replicas that drain",
    Reason.TOO_FEW_REPLICAS: lambda step: f"the minimum is {step.inputs['minimum']:.0f}",
    Reason.TOO_MANY_REPLICAS: lambda step: f"the maximum is {step.inputs['maximum']:.0f}",
}
