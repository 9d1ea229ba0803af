"""The control loop on virtual time, over a fleet and figures in memory."""

import asyncio
import logging
from dataclasses import replace
from math import isnan

import pytest
from prometheus_client import CollectorRegistry

from connectors.fake import FakeConnector
from connectors.observe import ObserveConnector
from planner.core.decide import decide
from planner.core.observation import Observation, Replicas, RoleLoad, Traffic
from planner.core.plan import Reason
from planner.core.policy import Bounds, PolicyConfig
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.state import PolicyState, RoleMemory
from planner.errors import ScaleRejected
from planner.journal import Journal, Query, Run
from planner.loop import Clocks, ControlLoop, Policy, Surroundings
from planner.metrics import LoopMetrics
from planner.profiles import load_profile
from planner.sources.fake import FakeSource

pytestmark = pytest.mark.looptime

P, D = Role.PREFILL, Role.DECODE
CONFIG = PolicyConfig(
    sla=Sla(ttft_seconds=0.2, itl_seconds=0.02),
    bounds={P: Bounds(maximum=9), D: Bounds(maximum=9)},
    interval_seconds=5.0,
    cold_start_seconds=10.0,
)
PROFILE = load_profile("llama-3.1-8b-fp8-h200")


def busy(rate_rps):
    """What is seen of a deployment that gets *rate_rps* requests of 3000 tokens in, 300 out."""
    count = round(rate_rps * 5)
    traffic = Traffic(
        seconds=5.0,
        arrived=count,
        isl_sum=3000.0 * count,
        isl_squared_sum=3000.0**2 * count,
        finished=count,
        osl_sum=300.0 * count,
        context_osl_sum=(3000 + 150) * 300.0 * count,
        within_sla=count,
    )
    load = {role: RoleLoad(waiting=0, waiting_tokens=0, running=1, kv_usage=0.1) for role in (P, D)}
    return Observation(at=0.0, fleet={}, traffic=traffic, load=load)


class World:
    """A fleet, a source and a journal, and the loops that run on them one after the other."""

    def __init__(self, path, *, observes=False, **fleet):
        clock = asyncio.get_running_loop().time
        self.fleet = FakeConnector({P: 2, D: 2}, clock=clock, start_seconds=10.0, **fleet)
        self.connector = ObserveConnector(self.fleet) if observes else self.fleet
        self.source = FakeSource(busy(10))
        self.journal = Journal.open(path)
        self.registry = CollectorRegistry()
        self.clocks = Clocks(steady=clock, wall=lambda: 1000.0 + clock())
        run = Run(started=0.0, mode="acts", sla=str(CONFIG.sla))
        self.metrics = LoopMetrics(self.registry)
        self.around = Surroundings(
            source=self.source,
            connector=self.connector,
            journal=self.journal,
            run=self.journal.begin(run),
            metrics=self.metrics,
            clocks=self.clocks,
        )

    def loop(self, *, config=CONFIG, state=None, **around):
        policy = Policy(config=config, profile=PROFILE)
        return ControlLoop(policy, replace(self.around, **around), state=state)

    async def run(self, seconds, **options):
        """Run a loop for *seconds* of virtual time."""
        stop = asyncio.Event()
        running = asyncio.create_task(self.loop(**options).run(stop))
        await asyncio.sleep(seconds)
        stop.set()
        await running

    @property
    def entries(self):
        found = self.journal.query(Query(limit=10_000))
        return sorted((record.entry for record in found), key=lambda entry: entry.at)

    def shown(self, name, **labels):
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
def world(tmp_path):
    """Return what makes worlds; their journals are closed at the end."""
    made = []

    def make(**options):
        made.append(World(tmp_path / f"journal-{len(made)}.sqlite", **options))
        return made[-1]

    yield make
    for one in made:
        one.journal.close()


def desired(entries):
    return [dict(entry.plan.desired) for entry in entries if entry.plan]


def reasons(entry):
    return {step.reason for decision in entry.plan.decisions.values() for step in decision.steps}


async def test_a_turn_every_interval_after_a_first_look(world):
    here = world()
    await here.run(17)
    assert [entry.at for entry in here.entries] == [1005.0, 1010.0, 1015.0]
    assert here.source.looks == 4
    assert here.shown("planner_tick_seconds_count") == 4


async def test_scales_up_to_what_the_load_needs_and_settles(world):
    here = world()
    here.source.observation = busy(60)
    await here.run(61)
    first, *_, last = here.entries
    assert first.outcome == "applied"
    assert first.started
    assert last.outcome == "unchanged"
    fleet = await here.fleet.fleet()
    assert {role: fleet[role].ready for role in fleet} == last.plan.desired
    assert last.plan.desired[P] > 2
    assert here.shown("planner_desired_replicas", role="prefill") == last.plan.desired[P]
    assert here.shown("planner_scalings_total", outcome="applied") == len(here.fleet.calls)


async def test_observing_decides_the_same_and_writes_nothing(world):
    acting, observing = world(), world(observes=True)
    for here in (acting, observing):
        here.source.observation = busy(60)
        await here.run(6)
    assert desired(acting.entries) == desired(observing.entries)
    assert [entry.outcome for entry in observing.entries] == ["observed"]
    assert acting.fleet.calls
    assert not observing.fleet.calls


async def test_without_figures_the_fleet_is_held_and_the_reason_kept(world):
    here = world()
    here.source.observation = None
    await here.run(6)
    (entry,) = here.entries
    assert reasons(entry) == {Reason.METRICS_UNAVAILABLE}
    assert entry.plan.desired == {P: 2, D: 2}
    assert (entry.note, entry.outcome) == ("the source was told to fail", "unchanged")
    assert not here.fleet.calls
    assert entry.observation.age_seconds == 5.0


async def test_after_an_outage_the_loop_goes_on(world):
    here = world()

    async def outage():
        await asyncio.sleep(7)
        here.source.observation = None
        await asyncio.sleep(10)
        here.source.observation = busy(60)

    task = asyncio.create_task(outage())
    await here.run(26)
    await task
    notes = [entry.note for entry in here.entries]
    assert notes == [None, "the source was told to fail", "the source was told to fail", None, None]
    assert here.entries[2].observation.age_seconds == 10.0
    assert here.entries[-2].outcome == "applied"


async def test_a_fleet_never_seen_is_journalled_and_nothing_decided(world):
    here = world()
    here.fleet.is_away = True
    await here.run(6)
    (entry,) = here.entries
    assert (entry.observation, entry.plan, entry.outcome) == (None, None, None)
    assert entry.note == "the fleet cannot be read"


async def test_a_fleet_out_of_sight_is_held_as_it_was(world):
    here = world()
    asyncio.get_running_loop().call_later(7, setattr, here.fleet, "is_away", True)
    here.source.observation = busy(60)
    await here.run(16)
    seen, lost, still_lost = here.entries
    assert seen.outcome == "applied"
    assert reasons(lost) == reasons(still_lost) == {Reason.METRICS_UNAVAILABLE}
    assert lost.plan.desired == seen.plan.desired
    assert lost.observation.fleet[P] == Replicas(ready=2, starting=seen.plan.desired[P] - 2)
    assert still_lost.observation.age_seconds == 10.0
    assert still_lost.note == "the fleet cannot be read"
    assert len(here.fleet.calls) == 1


async def test_frontends_without_traffic_hold_the_fleet(world):
    here = world()
    here.source.observation = replace(busy(10), traffic=None)
    await here.run(6)
    (entry,) = here.entries
    assert reasons(entry) == {Reason.METRICS_UNAVAILABLE}
    assert entry.note == "nothing tells the traffic"


async def test_a_rejected_scale_is_recorded_and_the_next_turn_goes_on(world):
    here = world(capacity=4)
    here.source.observation = busy(60)
    await here.run(11)
    assert [entry.outcome for entry in here.entries] == ["rejected", "rejected"]
    assert "do not fit" in here.entries[0].note
    assert here.shown("planner_scalings_total", outcome="rejected") == 2
    assert here.entries[1].plan.decisions[P].current == 2


async def test_someone_elses_change_is_planned_from(world):
    here = world()

    async def meddle():
        await asyncio.sleep(7)
        await here.fleet.scale({D: 5})

    task = asyncio.create_task(meddle())
    await here.run(11)
    await task
    assert [entry.plan.decisions[D].current for entry in here.entries] == [2, 5]


async def test_a_restart_continues_and_never_shrinks_on_missing_history(world):
    here = world()
    here.source.observation = busy(60)
    await here.run(61)
    before = here.entries[-1].plan.desired
    here.source.observation = busy(0)
    await here.run(61, state=here.journal.state())
    continued = here.entries[-1]
    assert sum(continued.plan.desired.values()) < sum(before.values())

    fresh = world()
    fresh.source.observation = busy(0)
    await fresh.run(16)
    assert desired(fresh.entries) == [{P: 2, D: 2}] * 3


async def test_an_error_ends_its_turn_and_not_the_loop(world, caplog):
    here = world()
    working = here.fleet.fleet

    async def broken():
        if asyncio.get_running_loop().time() == 5.0:
            raise RuntimeError("a defect")
        return await working()

    here.fleet.fleet = broken
    await here.run(11)
    assert [entry.at for entry in here.entries] == [1010.0]
    assert here.shown("planner_failed_ticks_total") == 1
    assert "a defect" in caplog.text


class Slow:
    """A connector whose `fleet` takes *seconds*; notes when each call began and ended."""

    def __init__(self, fleet, seconds):
        self._fleet, self._seconds = fleet, seconds
        self.spans = []

    async def fleet(self):
        clock = asyncio.get_running_loop().time
        began = clock()
        await asyncio.sleep(self._seconds)
        self.spans.append((began, clock()))
        return await self._fleet.fleet()

    async def scale(self, desired):
        raise ScaleRejected("never")

    async def close(self):
        pass


async def test_turns_never_overlap_and_overrun_ones_are_left_out(world):
    here = world()
    slow = Slow(here.fleet, 7.0)
    await here.run(31, connector=slow)
    assert [began for began, _ in slow.spans] == [0.0, 10.0, 20.0, 30.0]
    assert [entry.at for entry in here.entries] == [1017.0, 1027.0, 1037.0]


async def test_stopping_leaves_the_replicas_and_does_not_wait_for_the_interval(world):
    here = world()
    here.source.observation = busy(60)
    await here.run(12)
    before, calls = await here.fleet.fleet(), len(here.fleet.calls)
    assert asyncio.get_running_loop().time() == 12.0
    assert len(here.fleet.calls) == calls
    assert before[P].current > 2


async def test_a_line_of_the_log_tells_each_decision(world, caplog):
    caplog.set_level(logging.INFO, "planner.loop")
    here = world()
    here.source.observation = busy(60)
    await here.run(6)
    (record,) = [r for r in caplog.records if r.levelno == logging.INFO]
    assert record.getMessage().startswith("decision id=1 current=prefill:2,decode:2 desired=")
    assert "arrived_per_s=60 outcome=applied" in record.getMessage()


async def test_metrics_tell_what_is_unknown_apart_from_zero(world):
    here = world()
    here.fleet.is_away = True
    await here.run(6)
    assert here.shown("planner_metrics_age_seconds") != here.shown("planner_metrics_age_seconds")
    here.fleet.is_away = False
    await here.run(6)
    assert here.shown("planner_metrics_age_seconds") == 0.0
    assert here.shown("planner_sla_attainment") == 1.0
    assert here.shown("planner_ready_replicas", role="decode") == 2.0
    assert here.shown("planner_decisions_total", role="decode", reason="DemandForecast") == 1.0
    assert here.shown("planner_decisions_total", role="decode", reason="KvPressure") == 0.0


async def test_metrics_tell_targets_and_what_was_learned(world):
    here = world()
    loop = here.loop(state=PolicyState(roles={P: RoleMemory(late_share=0.02)}))
    told = {
        "target_ttft_seconds": 0.2, "target_itl_seconds": 0.02, "target_attainment": 0.99,
        "interval_seconds": 5.0, "lead_seconds": 15.0,
    }  # fmt: skip
    assert {name: here.shown(f"planner_{name}") for name in told} == told
    assert isnan(here.shown("planner_last_decision_timestamp_seconds"))
    here.source.observation = busy(60)
    await loop.turn()
    await asyncio.sleep(5)
    await loop.turn()
    (*_, last) = here.entries
    assert here.shown("planner_last_decision_timestamp_seconds") == last.at
    forecast = last.plan.decisions[P].steps[0].inputs
    shown = {
        name: here.shown(f"planner_{name}", role="prefill")
        for name in ("demand_replicas", "forecast_replicas", "headroom_ratio", "slowness_ratio")
    }
    assert shown["forecast_replicas"] == forecast["forecast_replicas"] > 0
    assert shown["headroom_ratio"] == forecast["headroom"] > 1
    assert shown["demand_replicas"] > 0
    assert shown["slowness_ratio"] == 1.0
    assert here.shown("planner_late_share", role="prefill") == 0.02


async def test_what_was_not_learned_is_unknown(world):
    here = world()
    here.source.observation = replace(busy(60), traffic=None)
    await here.loop(config=replace(CONFIG, sla=Sla(ttft_seconds=0.2))).turn()
    assert isnan(here.shown("planner_target_itl_seconds"))
    for name in ("demand_replicas", "forecast_replicas", "headroom_ratio", "late_share"):
        assert isnan(here.shown(f"planner_{name}", role="decode"))


async def test_a_budget_of_gpus_is_shown_where_there_is_one(world):
    here = world()
    await here.loop().turn()
    assert here.shown("planner_gpus", fleet="budget") is None
    await here.loop(config=replace(CONFIG, max_gpus=8)).turn()
    assert here.shown("planner_gpus", fleet="budget") == 8.0


async def test_another_policy_begins_another_run_that_replays(world):
    here = world()
    changes = iter([None, replace(CONFIG, cold_start_seconds=20.0)])

    def revise(policy, state):
        config = next(changes, None)
        if config is None:
            return None
        run = Run(started=0.0, mode="acts", sla=str(config.sla), config=config, initial_state=state)
        return Policy(config=config, profile=PROFILE), here.journal.begin(run)

    await here.run(27, revise=revise)

    state, found = PolicyState(), []
    configs = [CONFIG, replace(CONFIG, cold_start_seconds=20.0)]
    for run, config in zip(here.journal.runs(), configs, strict=True):
        assert run.initial_state == state
        recorded = list(here.journal.replay(run.id))
        for record in recorded:
            state, plan = decide(config, PROFILE, state, record.entry.observation)
            assert plan == record.entry.plan
        found.append(len(recorded))
    assert found == [1, 4]
