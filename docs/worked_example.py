"""The example in concepts/decisions.md: one deployment that grows, shrinks, and sees bursts."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from planner.charts import Axis, Extras, Level, Series, Unit, steps
from planner.core.decide import Bounds, PolicyConfig, PolicyState, decide
from planner.core.demand import engine_share, ttft_slack
from planner.core.explain import sentence
from planner.core.observation import Arrivals, Observation, Replicas, RoleLoad, Traffic
from planner.core.plan import Decision, Plan, Reason, Step
from planner.core.pressure import backlog_seconds
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.units import format_share
from planner.core.workload import Workload
from planner.profiles import load_profile

P, D = Role.PREFILL, Role.DECODE
COLUMNS = ("", "figure", "how")
PROFILE = load_profile("llama-3.1-8b-fp8-h200")
CONFIG = PolicyConfig(
    sla=Sla.parse("ttft=200ms,itl=20ms"),
    cold_start_seconds=10.0,
    interval_seconds=5.0,
    max_gpus=7,
    bounds={P: Bounds(minimum=1), D: Bounds(minimum=2)},
)
SECONDS, BIN_SECONDS, ISL, OSL = 5.0, 0.25, 1000, 200
BURST_BINS = 4
BUSY = (27,) * 8 + (42,) * BURST_BINS + (27,) * 8
"""Requests in the bins of an interval, with a burst of a second in it."""
CALM = (2, 3) * 10
RUSH = (100,) * BURST_BINS + CALM[BURST_BINS:]
RUSH_EVERY = 60
"""Intervals from one rush in a calm load to the next."""
WAITING = 3500

_DRAWN_SECONDS = 180.0

Row = tuple[str, str, str]


def traffic(counts: Sequence[int]) -> Traffic:
    """Return an interval in which *counts* arrive and as many finish in time, all alike."""
    requests = sum(counts)
    return Traffic(
        seconds=SECONDS,
        arrived=requests,
        isl_sum=requests * ISL,
        isl_squared_sum=requests * ISL**2,
        finished=requests,
        osl_sum=requests * OSL,
        context_osl_sum=requests * (ISL + OSL / 2) * OSL,
        within_sla=requests,
        arrivals=Arrivals(
            bin_seconds=BIN_SECONDS,
            counts=tuple(counts),
            isl=tuple(count * ISL for count in counts),
            isl_squared=tuple(count * ISL**2 for count in counts),
        ),
    )


def first_look() -> tuple[PolicyState, Plan]:
    """Return what is decided at the first sight of a busy deployment with a full queue."""
    return decide(
        CONFIG,
        PROFILE,
        PolicyState(),
        Observation(
            at=0.0,
            fleet={P: Replicas(ready=3), D: Replicas(ready=2)},
            traffic=traffic(BUSY),
            load={P: RoleLoad(waiting=WAITING, waiting_tokens=WAITING * ISL)},
        ),
    )


def _work_of_one(role: Role, *, share: float) -> list[Row]:
    """Return the rows from the laws of the profile's engine to what one request takes of it."""
    engine = PROFILE.engine(None)
    if role is P:
        prompt = engine.prefill.marginal_seconds(ISL) * 1e3
        base, most = engine.prefill.base_seconds * 1e3, engine.limits.max_num_batched_tokens
        filled = most - ISL // 2
        return [
            ("one prompt", f"{prompt:.2f} ms in a batch", f"a batch takes {base:.2f} ms more"),
            ("one request", f"{share * 1e3:.2f} ms of a replica",
             f"{prompt:.2f} + {base:.2f} * {ISL} / {filled} = {share * 1e3:.2f}"),
        ]  # fmt: skip
    assert CONFIG.sla.itl_seconds is not None
    steps = OSL * engine.decode.marginal_seconds(ISL + OSL / 2) * 1e3
    base, target = engine.decode.base_seconds * 1e3, CONFIG.sla.itl_seconds * 1e3
    return [
        ("one answer", f"{steps:.2f} ms in {OSL} steps", f"a step takes {base:.2f} ms more"),
        ("one request", f"{share * 1e3:.2f} ms of a replica",
         f"{steps:.2f} * {target:g} / ({target:g} - {base:.2f}) = {share * 1e3:.2f}"),
    ]  # fmt: skip


def prefill() -> list[Row]:
    """Return how many prefill replicas are wanted, and why."""
    decision = first_look()[1].decisions[P]
    forecast, backlog, budget = decision.steps
    assert (forecast.reason, backlog.reason) == (Reason.DEMAND_FORECAST, Reason.BACKLOG)
    engine, workload = PROFILE.engine(None), _workload()
    each = engine_share(P, engine, CONFIG.sla, workload)
    burst, span = sum(BUSY[8 : 8 + BURST_BINS]), (BURST_BINS - 0.5) * BIN_SECONDS
    slack = ttft_slack(P, engine, CONFIG.sla, workload)
    demand = burst * each / (span + slack)
    target = CONFIG.sla.ttft_seconds
    assert target is not None
    whole = sum(BUSY) * each / (SECONDS - BIN_SECONDS / 2 + slack)
    return [
        *_work_of_one(P, share=each),
        ("slack", f"{slack * 1e3:.0f} ms",
         f"{target * 1e3:.0f} - {(target - slack) * 1e3:.0f} = {slack * 1e3:.0f}, "
         "a long prompt's own TTFT in a shared batch"),
        ("all that came", f"{whole:.2f} replicas",
         f"{sum(BUSY)} * {each:.5f} / ({SECONDS - BIN_SECONDS / 2:g} + {slack:.3f}) = {whole:.2f}"),
        ("the burst", f"{demand:.2f} replicas",
         f"{burst} * {each:.5f} / ({span:g} + {slack:.3f}) = {demand:.2f}, which is more"),
        *_provided(forecast, demand=demand),
        *_cleared(backlog, current=decision.current, each=each),
        *_fitted(budget),
        _foreseen(decision),
    ]  # fmt: skip


def decode() -> list[Row]:
    """Return how many decode replicas are wanted, and why."""
    decision = first_look()[1].decisions[D]
    (forecast,) = decision.steps
    each = engine_share(D, PROFILE.engine(None), CONFIG.sla, _workload())
    rate = sum(BUSY) / SECONDS
    demand = rate * each
    return [
        *_work_of_one(D, share=each),
        ("in flight", f"{demand:.2f} replicas full", f"{rate:g} * {each:.5f} = {demand:.2f}"),
        *_provided(forecast, demand=demand),
        _foreseen(decision),
    ]


def _provided(step: Step, *, demand: float) -> list[Row]:
    """Return the rows from the *demand* that was seen to what is provided for."""
    headroom = step.inputs["headroom"]
    need = demand * headroom
    return [
        ("forecast", f"{demand:.2f}", "nothing else was seen yet"),
        ("headroom", f"{headroom:.3f}", "of the prior: no forecast could be judged"),
        (f"`{step.reason}`", f"{step.before} -> {step.after}",
         f"{demand:.2f} * {headroom:.3f} = {need:.2f}, rounded up"),
    ]  # fmt: skip


def _cleared(backlog: Step, *, current: int, each: float) -> list[Row]:
    """Return the rows from the prompts that wait to the replicas that clear them."""
    rate, lead = sum(BUSY) / SECONDS, CONFIG.lead_seconds
    waits = backlog_seconds(P, PROFILE.engine(None), _workload(), RoleLoad(waiting=WAITING))
    arriving = rate * each
    left = waits + (arriving - current) * lead
    return [
        ("work that waits", f"{waits:.1f} s", f"{WAITING} * {each:.5f} = {waits:.1f}"),
        ("work that arrives", f"{arriving:.2f} replicas",
         f"{rate:g} * {each:.5f} = {arriving:.2f}"),
        ("left after the lead", f"{left:.1f} s",
         f"{waits:.1f} + ({arriving:.2f} - {current}) * {lead:g} = {left:.1f}"),
        (f"`{backlog.reason}`", f"{backlog.before} -> {backlog.after}",
         f"{arriving:.2f} + {left:.1f} / {lead:g} = {arriving + left / lead:.2f}, rounded up"),
    ]  # fmt: skip


def _foreseen(decision: Decision) -> Row:
    """Return the row of what the number chosen and its neighbours are predicted to give."""
    fewer, chosen, more = (
        f"{one.replicas}: {format_share(one.attainment)}" for one in decision.alternatives
    )
    return ("attains", chosen, f"{fewer}; {more}")


def _fitted(budget: Step) -> list[Row]:
    """Return the rows that share the GPU budget, of one GPU a replica, between the two roles."""
    assert CONFIG.max_gpus is not None
    _, plan = first_look()
    floors = {role: CONFIG.bounds[role].minimum for role in (P, D)}
    beyond = {role: plan.decisions[role].raw - floors[role] for role in (P, D)}
    spare, wanted = CONFIG.max_gpus - sum(floors.values()), sum(beyond.values())
    shares = {role: beyond[role] * spare / wanted for role in (P, D)}
    return [
        ("GPUs beyond the minima", f"{spare} for {wanted}",
         f"{CONFIG.max_gpus} - {floors[P]} - {floors[D]} = {spare}"),
        ("prefill's share", f"{shares[P]:.2f}",
         f"{beyond[P]} * {spare} / {wanted} = {shares[P]:.2f}"),
        ("decode's share", f"{shares[D]:.2f}",
         f"{beyond[D]} * {spare} / {wanted} = {shares[D]:.2f}"),
        (f"`{budget.reason}`", f"{budget.before} -> {budget.after}",
         f"{floors[P]} + {int(shares[P])} = {budget.after}; the larger fraction is decode's"),
    ]  # fmt: skip


def _workload() -> Workload:
    return Workload(rate_rps=sum(BUSY) / SECONDS, isl=ISL, osl=OSL)


def shrinking() -> str:
    """Return the decisions about decode that change once the load is gone, oldest first."""
    shown, before = [], None
    for at, decision in _calm():
        steps = [sentence(step) for step in decision.steps]
        reasons = [step.reason for step in decision.steps]
        if (reasons, decision.desired) != before:
            shown.append(f"{at:>4.0f}s  {decision.current} -> {decision.desired}  {steps[0]}")
            shown += [f"{'':15}{step}" for step in steps[1:]]
        before = (reasons, decision.desired)
    return "```\n" + "".join(f"{line}\n" for line in shown) + "```\n"


def picture() -> str:
    """Return the same decisions as a chart: what decode was expected to need, and what it had."""
    calm = [(at, decision) for at, decision in _calm() if at <= _DRAWN_SECONDS]
    moments = [at for at, _ in calm]
    needs = [decision.steps[0].inputs for _, decision in calm]
    forecast = [need["forecast_replicas"] for need in needs]
    headroom = [need["forecast_replicas"] * need["headroom"] for need in needs]
    return steps(
        [
            Series(label="forecast", x=moments, y=forecast, is_dashed=True),
            Series(label="times headroom", x=moments, y=headroom),
            Series(label="decided", x=moments, y=[one.desired for _, one in calm]),
        ],
        Axis(label="time since the load fell", unit=Unit.SECONDS),
        Axis(label="Decode replicas", low=0),
        extras=Extras(levels=[Level(y=CONFIG.bounds[D].minimum, label="minimum")]),
    )


def _calm() -> Iterator[tuple[float, Decision]]:
    """Yield what is decided about decode when the load falls after a minute, for four minutes."""
    seen = [traffic(BUSY)] * 12 + [traffic(CALM)] * 48
    for at, plan in _decided(CONFIG, seen, *first_look()):
        if at >= 60:
            yield at - 60, plan.decisions[D]


def bursts() -> str:
    """Return why prefill is held for the next rush of a calm load with one every five minutes."""
    seen = [traffic(CALM if turn % RUSH_EVERY else RUSH) for turn in range(1, 12 * RUSH_EVERY)]
    config = replace(CONFIG, max_gpus=None)
    *_, (_, plan) = _decided(config, seen, *first_look())
    decision = plan.decisions[P]
    return "```\n" + "".join(f"{sentence(step)}\n" for step in decision.steps) + "```\n"


def _decided(
    config: PolicyConfig, seen: Sequence[Traffic], state: PolicyState, plan: Plan
) -> Iterator[tuple[float, Plan]]:
    """Yield when and what is decided on each of *seen*, in a fleet that obeys at once."""
    for turn, interval in enumerate(seen, start=1):
        fleet = {role: Replicas(ready=count) for role, count in plan.desired.items()}
        look = Observation(at=turn * SECONDS, fleet=fleet, traffic=interval)
        state, plan = decide(config, PROFILE, state, look)
        yield look.at, plan
