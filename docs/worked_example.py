"""The example in concepts/decisions.md: figures of one growing and one shrinking deployment."""

from collections.abc import Iterator

from planner.core.decide import Bounds, PolicyConfig, PolicyState, decide
from planner.core.demand import engine_share
from planner.core.explain import sentence
from planner.core.observation import Observation, Replicas, RoleLoad, Traffic
from planner.core.plan import Decision, Plan, Reason, Step
from planner.core.pressure import backlog_seconds
from planner.core.role import Role
from planner.core.sla import Sla
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
SECONDS, ISL, OSL = 5.0, 1000, 200
BUSY, CALM = 600, 50
"""Requests in an interval."""
WAITING = 3500

Row = tuple[str, str, str]


def traffic(requests: int) -> Traffic:
    """Return an interval in which *requests* arrive and as many finish in time, all alike."""
    return Traffic(
        seconds=SECONDS,
        arrived=requests,
        isl_sum=requests * ISL,
        isl_squared_sum=requests * ISL**2,
        finished=requests,
        osl_sum=requests * OSL,
        context_osl_sum=requests * (ISL + OSL / 2) * OSL,
        within_sla=requests,
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


def _grown(role: Role) -> tuple[Decision, list[Row]]:
    """Return the decision about *role*, and the rows from its rate to its need."""
    _, plan = first_look()
    decision = plan.decisions[role]
    rate = BUSY / SECONDS
    share = engine_share(role, PROFILE.engine(None), CONFIG.sla, _workload(rate))
    forecast = decision.steps[0]
    headroom = forecast.inputs["headroom"]
    provide, holds = forecast.inputs["demand_rps"], forecast.inputs["capacity_rps"]
    rows = [
        ("rate", f"{rate:g} req/s", f"{BUSY} / {SECONDS:g} = {rate:g}"),
        *_work_of_one(role, share=share),
        ("busy replicas", f"{rate * share:.2f}", f"{rate:g} * {share:.5f} = {rate * share:.2f}"),
        ("forecast", f"{rate * share:.2f}", "nothing else was seen yet"),
        ("headroom", f"{headroom:.3f}", "before forecasts could be judged"),
        ("to provide for", f"{provide:.1f} req/s",
         f"{rate * share:.2f} * {headroom:.3f} / {share:.5f} = {provide:.1f}"),
        ("one replica holds", f"{holds:.1f} req/s", "by the model, within the SLA"),
        (f"`{forecast.reason}`", f"{forecast.before} -> {forecast.after}",
         f"{provide:.1f} / {holds:.1f} = {provide / holds:.2f}, rounded up"),
    ]  # fmt: skip
    return decision, rows


def prefill() -> list[Row]:
    """Return how many prefill replicas are wanted, and why."""
    decision, rows = _grown(P)
    backlog, budget = decision.steps[1:]
    assert (backlog.reason, budget.reason) == (Reason.BACKLOG, Reason.GPU_BUDGET)
    rate, lead = BUSY / SECONDS, CONFIG.lead_seconds
    engine, workload = PROFILE.engine(None), _workload(rate)
    each = engine_share(P, engine, CONFIG.sla, workload)
    waits = backlog_seconds(P, engine, workload, RoleLoad(waiting=WAITING))
    arriving = rate * each
    left = waits + (arriving - decision.current) * lead
    return [
        *rows,
        ("work that waits", f"{waits:.1f} s", f"{WAITING} * {each:.5f} = {waits:.1f}"),
        ("left after the lead", f"{left:.1f} s",
         f"{waits:.1f} + ({arriving:.2f} - {decision.current}) * {lead:g} = {left:.1f}"),
        (f"`{backlog.reason}`", f"{backlog.before} -> {backlog.after}",
         f"{arriving:.2f} + {left:.1f} / {lead:g} = {arriving + left / lead:.2f}, rounded up"),
        *_fitted(budget),
    ]  # fmt: skip


def decode() -> list[Row]:
    """Return how many decode replicas are wanted, and why."""
    decision, rows = _grown(D)
    assert [step.reason for step in decision.steps] == [Reason.DEMAND_FORECAST]
    return rows


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


def _workload(rate: float) -> Workload:
    return Workload(rate_rps=rate, isl=ISL, osl=OSL)


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


def _calm() -> Iterator[tuple[float, Decision]]:
    """Yield what is decided about decode when the load falls after a minute, for four minutes."""
    state, plan = first_look()
    for turn in range(1, 61):
        at = turn * SECONDS
        fleet = {role: Replicas(ready=count) for role, count in plan.desired.items()}
        state, plan = decide(
            CONFIG,
            PROFILE,
            state,
            Observation(at=at, fleet=fleet, traffic=traffic(BUSY if at <= 60 else CALM)),
        )
        if at >= 60:
            yield at - 60, plan.decisions[D]
