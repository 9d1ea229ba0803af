"""Runs a trace through a simulated fleet that a policy scales, or that stays as it is."""

from collections.abc import Callable, Mapping

import numpy as np

from planner.core.observation import Observation
from planner.core.role import Role
from planner.sim.deployment import Deployment
from planner.sim.fleet import Fleet
from planner.sim.result import SimResult
from planner.sim.scenario import Scenario as Scenario
from planner.sim.sight import Sight
from planner.sim.timeline import Timeline
from planner.traces import Trace

Policy = Callable[[Observation], Mapping[Role, int]]
"""From what is seen to the replicas that each role should have."""
Schedule = Callable[[float], Mapping[Role, int]]
"""From the moment, in seconds, to the replicas that each role should have."""


def unheard(_: float) -> None:
    """Report progress to nobody."""


def simulate(
    trace: Trace,
    scenario: Scenario,
    *,
    policy: Policy | None = None,
    progress: Callable[[float], None] = unheard,
) -> SimResult:
    """Return what happens to *trace*; without a *policy* the initial fleet stays.

    *progress* is called now and then with the share of the trace that has arrived. Equal
    arguments give equal results.
    """
    simulation = _Simulation(trace, scenario, progress)
    if policy is None:
        return simulation.result(None)
    return simulation.result(lambda: policy(simulation.seen()))


def follow(trace: Trace, scenario: Scenario, *, schedule: Schedule) -> SimResult:
    """Return what happens to *trace* if a policy asks for what *schedule* says.

    It is the same as `simulate` with such a policy, and quicker: nothing has to be observed.
    """
    simulation = _Simulation(trace, scenario, unheard)
    return simulation.result(lambda: schedule(simulation.now))


_Ask = Callable[[], Mapping[Role, int]]


class _Simulation:
    def __init__(self, trace: Trace, scenario: Scenario, progress: Callable[[float], None]) -> None:
        self._trace = trace
        self._scenario = scenario
        self._progress = progress
        seeds = np.random.SeedSequence(scenario.seed).spawn(3)
        engines, metrics, self._failures = map(np.random.default_rng, seeds)
        self._deployment = Deployment(trace, scenario, engines)
        self._timeline = Timeline(self._deployment)
        self._sight = Sight(trace, scenario, self._deployment, metrics)
        self._fleet = Fleet(
            tuple(scenario.models),
            self._timeline,
            self._deployment,
            cold_start_seconds=scenario.cold_start_seconds,
            drain_timeout_seconds=scenario.drain_timeout_seconds,
        )
        self._timeline.notice = self._fleet.retire

    @property
    def now(self) -> float:
        return self._timeline.now

    def seen(self) -> Observation:
        return self._sight.observe(self._fleet)

    def result(self, ask: _Ask | None) -> SimResult:
        self._fleet.begin(self._scenario.initial)
        if ask is not None:
            self._timeline.at(0.0, self._look, ask)
        for role, moments in self._scenario.failures.items():
            for at in moments:
                self._timeline.at(at, self._fail, role)
        self._deployment.await_requests()
        self._run()
        self._timeline.end()
        return self._summary()

    def _run(self) -> None:
        """Let every request arrive, and wait for those in flight as long as patience lasts."""
        last = self._trace.duration_seconds
        for percent in range(100):
            self._timeline.run(last * percent / 100)
            self._progress(percent / 100)
        self._timeline.run(last)
        self._progress(1.0)
        patience = self._scenario.patience_seconds
        for percent in range(1, 101):
            if self._deployment.clock.in_flight:
                self._timeline.run(last + patience * percent / 100)

    def _look(self, ask: _Ask) -> None:
        wanted = ask()
        if self._timeline.now >= self._scenario.hands_off_seconds:
            self._fleet.scale(wanted)
        self._timeline.at(self._timeline.now + self._scenario.interval_seconds, self._look, ask)

    def _fail(self, role: Role) -> None:
        self._fleet.fail(role, self._failures)

    def _summary(self) -> SimResult:
        clock, arrival, osl = self._deployment.clock, self._trace.arrival_seconds, self._trace.osl
        first, finish = self._deployment.end()
        itl = finish - first
        np.divide(itl, osl - 1, out=itl, where=osl > 1)
        itl[osl <= 1] = np.nan
        first -= arrival
        if clock.in_flight:
            duration = self._timeline.now
        else:
            duration = max(self._trace.duration_seconds, np.nanmax(finish, initial=0.0))
        return SimResult(
            sla=self._scenario.sla,
            arrival_seconds=arrival,
            ttft_seconds=first,
            itl_seconds=itl,
            finish_seconds=finish,
            failed=int(clock.rejected),
            retried=int(clock.retried),
            preempted=int(clock.preempted),
            duration_seconds=float(duration),
            changes=tuple(self._fleet.changes),
            actions=tuple(self._fleet.actions),
            gpus_per_replica={
                role: self._scenario.gpus_per_replica.get(role, 1) for role in self._scenario.models
            },
        )
