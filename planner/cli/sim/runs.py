"""Runs the policies asked for on one load, and finds out what perfect foresight would need."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from planner.cli.decisions import warm_spares
from planner.cli.sim.policies import PLANNER, STATIC
from planner.cli.sim.progress import Progress
from planner.cli.sim.setting import Setting
from planner.core.observation import Observation
from planner.core.plan import Step
from planner.core.role import Role
from planner.core.units import format_share
from planner.errors import SlaInfeasible
from planner.peers import PEERS
from planner.sim.backtest import backtest
from planner.sim.result import SimResult
from planner.sim.run import Policy, simulate
from planner.sim.score import Score, score
from planner.sim.static import best_static

if TYPE_CHECKING:
    from planner.sim.oracle import Oracle

_Hear = Callable[[float], None]
_LATEST_SECONDS = 600.0
"""Plans this close to the end of a run tell what its load needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The replicas that a policy asked for at one moment of the virtual clock."""

    at: float
    desired: Mapping[Role, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """What came of one policy; *wishes* are all that it asked for, none of a fixed fleet."""

    name: str
    result: SimResult
    score: Score
    wishes: tuple[Wish, ...]
    wall_seconds: float

    @property
    def warm_spares(self) -> dict[Role, Step]:
        """The step of each role that held most for bursts, if its latest plans still did."""
        plans = self.result.plans
        latest = plans[-1].at - _LATEST_SECONDS if plans else 0.0
        steps = [
            (role, step)
            for plan in plans
            if plan.at >= latest
            for role, decision in plan.decisions.items()
            if (step := warm_spares(decision)) is not None
        ]
        most = dict(sorted(steps, key=lambda one: one[1].after))
        return {role: most[role] for role in Role if role in most}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Runs:
    """All runs, in the order asked for, and the oracle if it was asked for."""

    setting: Setting
    runs: tuple[Run, ...]
    oracle: "Oracle | None"

    @property
    def warm_spares(self) -> Mapping[Role, Step]:
        """What this planner's own run held for bursts; empty when there was none."""
        return next((run.warm_spares for run in self.runs if run.name == PLANNER), {})

    def over_oracle(self, run: Run) -> float | None:
        """Return how many times the oracle's GPU-hours *run* took in the scored window."""
        if self.oracle is None or not self.oracle.gpu_hours:
            return None
        return run.score.gpu_hours / self.oracle.gpu_hours


def run_all(setting: Setting) -> Runs:
    """Return every run that *setting* asks for.

    Raises SlaInfeasible when nothing but a fixed fleet is asked for and none meets the SLA.
    """
    with Progress(len(setting.policies) + setting.oracle) as progress:
        runs = tuple(_run(name, setting, progress.stage(name)) for name in setting.policies)
        if setting.policies == (STATIC,) and not setting.fleet:
            _check_static(runs[0].result, setting)
        best = _oracle(setting, progress.stage("oracle")) if setting.oracle else None
    return Runs(setting=setting, runs=runs, oracle=best)


def _run(name: str, setting: Setting, hear: _Hear) -> Run:
    started = time.perf_counter()
    result, wishes = _outcome(name, setting, hear)
    return Run(
        name=name,
        result=result,
        score=score(result, start_seconds=setting.score_from_seconds),
        wishes=wishes,
        wall_seconds=time.perf_counter() - started,
    )


def _outcome(name: str, setting: Setting, hear: _Hear) -> tuple[SimResult, tuple[Wish, ...]]:
    trace, config, profile = setting.trace, setting.config, setting.profile
    if name == STATIC:
        return _unscaled(setting, hear), ()
    if name == PLANNER:
        result = backtest(trace, config, profile, fleet=setting.scenario, progress=hear)
        return result, tuple(Wish(at=plan.at, desired=plan.desired) for plan in result.plans)
    watched = _Watched(PEERS[name].make(config, profile, headroom=setting.config.headroom))
    result = simulate(trace, setting.scenario, policy=watched, progress=hear)
    return result, tuple(watched.wishes)


def _unscaled(setting: Setting, hear: _Hear) -> SimResult:
    """Return the run of the fixed fleet that was asked for, else of the best one."""
    if setting.fleet:
        return simulate(setting.trace, setting.scenario, progress=hear)
    config = setting.config
    most = {role: config.bounds[role].maximum for role in config.roles}
    return best_static(setting.trace, setting.scenario, most=most, progress=hear)


def _check_static(best: SimResult, setting: Setting) -> None:
    config = setting.config
    if best.attainment >= config.sla.attainment:
        return
    fleet = " and ".join(f"{config.bounds[role].maximum} {role}" for role in config.roles)
    raise SlaInfeasible(
        f"{config.sla}: a fixed fleet of {fleet} replicas reaches only "
        f"{format_share(best.attainment)} on this trace",
        hint="give looser targets with --sla, or allow more replicas with --max",
    )


def _oracle(setting: Setting, hear: _Hear) -> "Oracle":
    from planner.sim.oracle import oracle  # only where it is asked for

    return oracle(
        setting.trace,
        setting.scenario,
        attainment=setting.config.sla.attainment,
        start_seconds=setting.score_from_seconds,
        progress=hear,
    )


class _Watched:
    """A policy that leaves a record of what it asked for."""

    def __init__(self, policy: Policy) -> None:
        self.wishes: list[Wish] = []
        self._policy = policy

    def __call__(self, observation: Observation) -> Mapping[Role, int]:
        desired = self._policy(observation)
        self.wishes.append(Wish(at=observation.at, desired=dict(desired)))
        return desired
