"""What a policy gets to see of a simulated deployment: exact sums, also late or not at all."""

from dataclasses import replace

import pytest

from planner.core.role import Role
from planner.core.sla import Sla
from planner.profiles import load_profile
from planner.sim.run import Scenario

MODEL = load_profile("llama-3.1-8b-fp8-h200").engine()
P, D, A = Role.PREFILL, Role.DECODE, Role.AGGREGATED
SLA = Sla(ttft_seconds=0.2, itl_seconds=0.02)
DISAGGREGATED = Scenario(sla=SLA, models={P: MODEL, D: MODEL}, initial={P: 2, D: 3})
ONE = Scenario(sla=SLA, models={A: MODEL}, initial={A: 1})


@pytest.mark.parametrize("scenario", [DISAGGREGATED, ONE], ids=["disaggregated", "aggregated"])
def test_the_laws_give_the_time_of_all_steps_from_their_sums(random_trace, watched, scenario):
    result, seen = watched(random_trace(), scenario)
    assert result.completed == 400
    for role, model in scenario.models.items():
        for observation in seen[1:]:
            sums = observation.load[role].steps
            expected = sums.prefilled * model.prefill.token_seconds
            expected += sums.prefilled_squared * model.prefill.token_squared_seconds
            if role is P:
                expected += sums.prefill_steps * model.prefill.base_seconds
            else:
                expected += sums.decoded * model.decode.request_seconds
                expected += sums.kv_tokens * model.decode.kv_token_seconds
                bases = (model.prefill.base_seconds, model.decode.base_seconds)
                expected += sums.prefill_steps * max(bases)
                expected += (sums.steps - sums.prefill_steps) * model.decode.base_seconds
            assert sums.seconds == pytest.approx(expected, rel=1e-9, abs=1e-9)
            assert sums.steps > 0 or not observation.in_flight


def test_step_sums_add_up_to_the_tokens_of_the_trace(random_trace, watched):
    trace = random_trace()
    _, seen = watched(trace, replace(DISAGGREGATED, interval_seconds=0.7))
    steps = {role: [o.load[role].steps for o in seen[1:]] for role in (P, D)}
    assert seen[-1].in_flight == 0
    assert sum(s.prefilled for s in steps[P]) == trace.isl.sum()
    assert sum(s.prefilled_squared for s in steps[P]) == (trace.isl**2).sum()
    assert sum(s.decoded for s in steps[D]) == trace.osl.sum()
    contexts = trace.isl * trace.osl + trace.osl * (trace.osl - 1) // 2
    assert sum(s.kv_tokens for s in steps[D]) == contexts.sum()


def test_a_long_run_of_steps_is_seen_while_it_goes_on(requests_at, watched):
    _, seen = watched(requests_at(0.0, osl=5000), replace(ONE, interval_seconds=2.0))
    steps = [o.load[A].steps for o in seen[1:6]]
    assert all(1.9 < s.seconds < 2.1 for s in steps)
    usage = [o.load[A].kv_usage for o in seen[1:6]]
    assert usage == sorted(usage)
    assert usage[0] < usage[-1]


def test_arrivals_are_counted_in_bins_that_end_with_the_look(requests_at, watched):
    trace = requests_at(0.0, 0.1, 4.74, 4.76, 5.01)
    _, seen = watched(trace, ONE)
    bins = seen[1].traffic.arrivals
    assert (bins.bin_seconds, len(bins.counts)) == (0.25, 20)
    assert bins.counts == (2, *[0] * 17, 1, 1)
    assert sum(bins.counts) == seen[1].traffic.arrived
    assert bins.isl == tuple(1024 * count for count in bins.counts)
    assert bins.isl_squared == tuple(1024**2 * count for count in bins.counts)


def test_late_metrics_tell_their_age(random_trace, watched):
    _, seen = watched(random_trace(), replace(DISAGGREGATED, metric_delay_seconds=7.0))
    _, fresh = watched(random_trace(), DISAGGREGATED)
    assert [o.age_seconds for o in seen[:5]] == [0.0, 0.0, 10.0, 10.0, 10.0]
    assert [o.traffic for o in seen[2:]] == [o.traffic for o in fresh[: len(seen) - 2]]
    assert [o.at for o in seen] == [o.at for o in fresh]


def test_lost_metrics_are_unknown_and_counters_go_on(random_trace, watched):
    trace = random_trace(n=2000)
    _, seen = watched(trace, replace(DISAGGREGATED, metric_loss=0.5, seed=1))
    lost = [o for o in seen if o.traffic is None]
    assert 0 < len(lost) < len(seen)
    assert all(not o.load and o.in_flight is None and o.fleet for o in lost)
    known = [o.traffic for o in seen if o.traffic is not None]
    assert max(t.seconds for t in known) >= 10.0
    until = max(o.at for o in seen if o.traffic is not None)
    assert sum(t.arrived for t in known) == (trace.arrival_seconds <= until).sum()


def test_hands_off_asks_and_does_not_obey(random_trace, watched):
    result, seen = watched(random_trace(), replace(ONE, hands_off_seconds=12.0), {A: 3})
    assert [o.at for o in seen[:3]] == [0.0, 5.0, 10.0]
    assert result.actions[0] == 15.0
