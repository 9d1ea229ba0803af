"""What `decide` does, by example; the laws are in test_decide_laws."""

from dataclasses import replace
from math import ceil
from time import process_time

import pytest

from planner.core.decide import Bounds, PolicyConfig, PolicyState, decide
from planner.core.headroom import BURST_HEADROOM
from planner.core.observation import Replicas, RoleLoad
from planner.core.plan import Reason
from planner.core.role import Role
from planner.core.sla import Sla
from planner.errors import ConfigError
from planner.profiles import load_profile

PROFILE = load_profile("llama-3.1-8b-fp8-h200")
CONFIG = PolicyConfig(sla=Sla.parse("ttft=200ms,itl=20ms"), cold_start_seconds=30.0)
P, D = Role.PREFILL, Role.DECODE


def reasons(decision):
    return [step.reason for step in decision.steps]


@pytest.fixture
def run(look):
    """Return a walk through observations of a fleet that obeys at once: the plans it got."""

    def walk(rates, *, config=CONFIG, fleet=None, state=None, start=5.0, **options):
        state = PolicyState() if state is None else state
        fleet = dict.fromkeys(config.roles, 1) if fleet is None else fleet
        plans = []
        for index, rate in enumerate(rates):
            at = start + index * config.interval_seconds
            state, plan = decide(config, PROFILE, state, look(at, rate, fleet, **options))
            fleet = plan.desired
            plans.append(plan)
        return state, plans

    return walk


def test_growth_goes_straight_to_what_is_needed(run):
    _, plans = run([100.0])
    prefill = plans[0].decisions[P]
    assert (prefill.current, prefill.desired) == (1, 4)
    assert reasons(prefill) == [Reason.DEMAND_FORECAST]
    inputs = prefill.steps[0].inputs
    # The arithmetic of the sentence adds up.
    assert ceil(inputs["forecast_replicas"] * inputs["headroom"]) == inputs["replicas_needed"] == 4
    assert inputs["horizon_seconds"] == 35.0


def test_replicas_that_start_count(run, look, pair):
    fleet = pair(Replicas(ready=1, starting=3), Replicas(ready=1, starting=2))
    _, plan = decide(CONFIG, PROFILE, PolicyState(), look(5.0, 100.0, fleet))
    assert plan.decisions[P].current == plan.decisions[P].desired == 4
    assert not plan.decisions[P].desired > plan.decisions[P].current


def test_nothing_shrinks_before_a_whole_window_was_lower(run):
    _, plans = run([100.0] * 12 + [1.0] * 120)
    counts = [plan.desired[P] for plan in plans]
    assert counts[11] == 4
    lower = next(index for index, count in enumerate(counts) if count < counts[11])
    held = [plan for plan in plans[12:lower] if plan.decisions[P].raw < counts[11]]
    assert held, "the lower need was never seen"
    assert all(reasons(p.decisions[P])[-1] is Reason.SCALE_DOWN_STABILIZED for p in held)
    assert held[0].decisions[P].steps[-1].inputs["remaining_seconds"] <= CONFIG.hold_seconds
    assert counts[-1] == 1


def test_a_restart_without_history_shrinks_nothing(run, pair):
    _, plans = run([1.0] * 30, fleet=pair(6, 6))
    for plan in plans:
        if plan.at - plans[0].at < CONFIG.history_seconds:
            assert plan.desired == pair(6, 6)
            assert reasons(plan.decisions[P])[-1] is Reason.WARMING_UP
    assert plans[-1].desired == pair(1, 1)


def test_a_restart_with_its_state_goes_on_where_it_was(run, pair):
    state, plans = run([50.0] * 40)
    restored = PolicyState.from_dict(state.to_dict())
    fleet = plans[-1].desired
    _, after = run([50.0], state=restored, fleet=fleet, start=plans[-1].at + 5.0)
    assert after[0].desired == fleet
    assert Reason.WARMING_UP not in reasons(after[0].decisions[P])


def test_after_a_long_silence_the_past_is_unknown_again(run, pair):
    state, _ = run([100.0] * 40)
    later = 5.0 + 40 * 5.0 + 10 * CONFIG.silence_seconds
    _, plans = run([1.0], state=state, fleet=pair(6, 6), start=later)
    assert plans[0].desired == pair(6, 6)
    assert reasons(plans[0].decisions[P])[-1] is Reason.WARMING_UP


def test_a_long_silence_does_not_unlearn_the_headroom(run, pair):
    state, plans = run([20.0, 20.0, 20.0, 20.0, 200.0] * 40)
    _, after = run([20.0], state=state, fleet=pair(6, 6), start=1e5)
    headroom = plans[-1].decisions[P].steps[0].inputs["headroom"]
    assert headroom != 1.15
    assert after[0].decisions[P].steps[0].inputs["headroom"] == pytest.approx(headroom, rel=0.02)


def test_bursts_that_outrun_forecasts_are_met_by_what_the_last_ones_needed(run):
    _, plans = run(([20.0] * 24 + [400.0]) * 12)
    forecast, bursts, *_ = plans[-2].decisions[P].steps
    assert (forecast.reason, bursts.reason) == (Reason.DEMAND_FORECAST, Reason.BURSTS)
    assert forecast.inputs["headroom"] == BURST_HEADROOM < bursts.inputs["headroom"]
    assert bursts.after == ceil(bursts.inputs["burst_replicas"])
    usual = ceil(1.4 * forecast.inputs["forecast_replicas"])
    assert bursts.inputs["warm_spares"] == bursts.after - usual > 0


def test_steady_loads_need_no_warm_spares(run):
    _, plans = run([100.0] * 100)
    assert not any(
        Reason.BURSTS in reasons(plan.decisions[role]) for plan in plans for role in (P, D)
    )


def test_an_idle_deployment_shrinks_to_its_floor(run, pair):
    _, plans = run([0.0] * 60, fleet=pair(5, 5))
    assert plans[-1].desired == pair(1, 1)


def test_decode_waits_for_the_first_answers_before_it_is_judged(run, look, pair):
    seen = look(5.0, 50.0, pair(1, 2))
    unfinished = replace(seen, traffic=replace(seen.traffic, finished=0, osl_sum=0.0))
    _, plan = decide(CONFIG, PROFILE, PolicyState(), unfinished)
    assert plan.decisions[D].desired == 2
    assert reasons(plan.decisions[D]) == [Reason.WARMING_UP]
    assert plan.decisions[P].desired > 1
    assert plan.attainment is None


@pytest.mark.parametrize(
    "unknown",
    [
        pytest.param({"rate_rps": None}, id="no traffic"),
        pytest.param({"rate_rps": 0.0, "age_seconds": 60.0}, id="stale"),
    ],
)
def test_lost_metrics_hold_the_fleet_and_leave_the_state_alone(run, look, pair, unknown):
    state, plans = run([100.0] * 20)
    seen = look(300.0, fleet=plans[-1].desired, **unknown)
    after, plan = decide(CONFIG, PROFILE, state, seen)
    assert after == state
    assert plan.desired == plans[-1].desired
    assert reasons(plan.decisions[P]) == [Reason.METRICS_UNAVAILABLE]


def test_lost_metrics_still_lift_to_the_floor(look, pair):
    config = replace(CONFIG, bounds={P: Bounds(minimum=2), D: Bounds(minimum=1, maximum=3)})
    _, plan = decide(config, PROFILE, PolicyState(), look(5.0, None, pair(0, 7)))
    assert plan.desired == pair(2, 3)
    assert reasons(plan.decisions[P]) == [Reason.METRICS_UNAVAILABLE, Reason.TOO_FEW_REPLICAS]
    assert reasons(plan.decisions[D]) == [Reason.METRICS_UNAVAILABLE, Reason.TOO_MANY_REPLICAS]


def test_replicas_changed_by_someone_else_are_planned_from_as_they_are(run, pair):
    state, plans = run([100.0] * 20)
    _, after = run([100.0], state=state, fleet=pair(1, 9), start=105.0)
    assert after[0].decisions[P].current == 1
    assert after[0].desired[P] == plans[-1].desired[P]
    assert after[0].desired[D] <= 9


def test_an_sla_that_an_engine_cannot_meet_alone_adds_nothing(run, pair):
    config = replace(CONFIG, sla=Sla.parse("ttft=30ms,itl=20ms"))
    _, plans = run([300.0], config=config, fleet=pair(2, 1))
    assert plans[0].desired[P] == 2
    assert reasons(plans[0].decisions[P])[-1] is Reason.SLA_INFEASIBLE
    assert plans[0].desired[D] > 1, "decode can do its part and does"


def test_an_itl_below_the_engine_s_base_adds_nothing(run, pair):
    config = replace(CONFIG, sla=Sla.parse("ttft=200ms,itl=4ms"))
    _, plans = run([300.0], config=config, fleet=pair(1, 2))
    assert plans[0].desired[D] == 2
    assert reasons(plans[0].decisions[D])[-1] is Reason.SLA_INFEASIBLE


def test_a_backlog_adds_replicas_before_the_forecast_does(look, pair):
    load = {P: RoleLoad(waiting=500), D: RoleLoad(waiting=0, running=10)}
    seen = look(5.0, 10.0, pair(1, 1), load=load)
    _, plan = decide(CONFIG, PROFILE, PolicyState(), seen)
    assert reasons(plan.decisions[P]) == [Reason.DEMAND_FORECAST]
    load = {P: RoleLoad(waiting=5000), D: RoleLoad(waiting=0, running=10)}
    _, plan = decide(CONFIG, PROFILE, PolicyState(), look(5.0, 10.0, pair(1, 1), load=load))
    assert reasons(plan.decisions[P]) == [Reason.DEMAND_FORECAST, Reason.BACKLOG]
    assert plan.desired[P] == 2


def test_batches_past_the_itl_target_add_decode_replicas(look, pair):
    load = {P: RoleLoad(waiting=0), D: RoleLoad(waiting=0, running=900)}
    _, plan = decide(CONFIG, PROFILE, PolicyState(), look(5.0, 20.0, pair(1, 2), load=load))
    assert reasons(plan.decisions[D]) == [Reason.DEMAND_FORECAST, Reason.KV_PRESSURE]
    assert plan.desired[D] == 4


def test_late_requests_add_headroom(run, pair):
    _, on_time = run([58.0] * 120, fleet=pair(2, 2))
    _, late = run([58.0] * 120, fleet=pair(2, 2), on_time=0.8)
    assert late[-1].desired[P] > on_time[-1].desired[P]
    assert Reason.ATTAINMENT_BELOW_TARGET in {
        reason for plan in late for reason in reasons(plan.decisions[P])
    }


def test_the_budget_is_shared_and_kept(run, pair):
    _, plans = run([300.0] * 5, config=replace(CONFIG, max_gpus=8))
    assert plans[0].gpus.desired == plans[0].gpus.budget == 8
    assert Reason.GPU_BUDGET in reasons(plans[0].decisions[P])
    assert sum(plans[0].decisions[role].raw for role in (P, D)) > 8


def test_one_role_shrinks_before_the_other_grows(look, pair):
    config = replace(CONFIG, max_gpus=8, stabilization_seconds=0.0)
    state, at, fleet = PolicyState(), 0.0, pair(1, 7)
    seen_reasons = set()
    for _ in range(40):
        at += 5.0
        draining = {role: Replicas(ready=count) for role, count in fleet.items()}
        state, plan = decide(config, PROFILE, state, look(at, 100.0, draining))
        growth = sum(max(0, plan.desired[r] - fleet[r]) for r in fleet)
        assert growth + sum(fleet.values()) <= 8
        seen_reasons |= set(reasons(plan.decisions[P]))
        fleet = plan.desired
    assert Reason.SHRINK_BEFORE_GROW in seen_reasons
    assert fleet == pair(4, 3)


def test_a_plan_tells_cost_and_attainment_before_and_after(look, pair):
    priced = replace(PROFILE, gpu_price_per_hour=3.0)
    _, plan = decide(CONFIG, priced, PolicyState(), look(5.0, 60.0, pair(1, 2)))
    assert plan.current_cost_per_hour == 9.0
    assert plan.cost_per_hour == 3.0 * plan.gpus.desired
    assert plan.current_attainment < 0.9 < plan.attainment


def test_aggregated_replicas_are_one_role(run):
    config = replace(CONFIG, bounds={Role.AGGREGATED: Bounds(maximum=9)})
    _, plans = run([60.0] * 10, config=config)
    assert set(plans[-1].desired) == {Role.AGGREGATED}
    assert 4 <= plans[-1].desired[Role.AGGREGATED] <= 9


def test_a_role_that_is_not_in_the_fleet_has_no_replicas(look):
    _, plan = decide(CONFIG, PROFILE, PolicyState(), look(5.0, 1.0, {}))
    assert plan.desired == {P: 1, D: 1}


def test_the_sla_mode_needs_a_profile(look, pair):
    with pytest.raises(ConfigError, match="needs a profile"):
        decide(CONFIG, None, PolicyState(), look(5.0, 1.0, pair(1, 1)))


def test_it_is_quick(run):
    run([50.0] * 50)
    begin = process_time()
    run([50.0] * 200)
    assert (process_time() - begin) / 200 < 0.005  # about 0.3 ms, on a machine of its own
