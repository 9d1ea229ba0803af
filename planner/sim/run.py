"""Runs a trace through a simulated fleet that a policy scales, or that stays as it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from planner.core.engine import EngineModel
from planner.core.observation import Observation
from planner.core.role import Role
from planner.core.sla import Sla
from planner.sim.deployment import Deployment, RemotePrefill
from planner.sim.ledger import Ledger
from planner.sim.result import SimResult
from planner.sim.timeline import Timeline
from planner.traces import Trace

Policy = Callable[[Observation], Mapping[Role, int]]
"""From what is seen to the replicas that each role should have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """The deployment that a trace meets. *initial* replicas are ready at the start."""

    sla: Sla
    models: Mapping[Role, EngineModel]
    initial: Mapping[Role, int]
    gpus_per_replica: Mapping[Role, int] = field(default_factory=dict)
    """One for a role that is left out."""
    cold_start_seconds: float = 60.0
    interval_seconds: float = 5.0
    """Between two looks of the policy."""
    remote_prefill: RemotePrefill = field(default_factory=RemotePrefill)
    """What decode replicas send to prefill replicas; everything unless told."""
    patience_seconds: float = 600.0
    """After the last arrival; who has not finished by then never will."""


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
    return _Simulation(trace, scenario, policy, progress).result()


class _Simulation:
    def __init__(
        self,
        trace: Trace,
        scenario: Scenario,
        policy: Policy | None,
        progress: Callable[[float], None],
    ) -> None:
        self._trace = trace
        self._scenario = scenario
        self._policy = policy
        self._progress = progress
        self._timeline = Timeline()
        self._ledger = Ledger(trace, scenario.sla)
        self._deployment = Deployment(
            scenario.models,
            self._timeline,
            self._ledger,
            cold_start_seconds=scenario.cold_start_seconds,
            remote_prefill=scenario.remote_prefill,
        )

    def result(self) -> SimResult:
        self._deployment.fleet.begin(self._scenario.initial)
        if self._policy is not None:
            self._timeline.at(0.0, self._look, self._policy)
        if len(self._trace):
            self._timeline.at(self._ledger.arrival[0], self._arrive, 0)
        self._run()
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
            if self._ledger.in_flight:
                self._timeline.run(last + patience * percent / 100)

    def _arrive(self, request: int) -> None:
        self._deployment.arrive(request)
        following = request + 1
        if following < len(self._ledger.arrival):
            self._timeline.at(self._ledger.arrival[following], self._arrive, following)

    def _look(self, policy: Policy) -> None:
        self._deployment.fleet.scale(policy(self._deployment.observe()))
        self._timeline.at(self._timeline.now + self._scenario.interval_seconds, self._look, policy)

    def _summary(self) -> SimResult:
        ledger, fleet = self._ledger, self._deployment.fleet
        first, finish = np.array(ledger.first_token), np.array(ledger.finish)
        osl = self._trace.osl
        steps = np.where(osl > 1, osl - 1, np.nan)
        if ledger.in_flight:
            duration = self._timeline.now
        else:
            duration = max([self._trace.duration_seconds, *finish[np.isfinite(finish)]])
        return SimResult(
            sla=self._scenario.sla,
            arrival_seconds=self._trace.arrival_seconds,
            ttft_seconds=first - self._trace.arrival_seconds,
            itl_seconds=(finish - first) / steps,
            finish_seconds=finish,
            failed=len(ledger.failed),
            duration_seconds=float(duration),
            changes=tuple(fleet.changes),
            actions=tuple(fleet.actions),
            gpus_per_replica={r: self._scenario.gpus_per_replica.get(r, 1) for r in fleet.counts()},
        )
