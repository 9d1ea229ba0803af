"""Backtests: `planner.simulate`, and what the command of that name prints."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from planner.api.inputs import FleetLike, ProfileLike, SlaLike
from planner.api.loads import TraceLike
from planner.api.runs import Run, Simulation, Wish
from planner.api.setting import PLANNER, STATIC, Setting, Wanted, setting
from planner.core.observation import Observation
from planner.core.policy import PolicyConfig
from planner.core.role import Role
from planner.core.units import format_share
from planner.errors import SlaInfeasible
from planner.peers import PEERS
from planner.sim.backtest import backtest
from planner.sim.deployment import RemotePrefill
from planner.sim.result import SimResult
from planner.sim.run import Policy
from planner.sim.run import simulate as run_trace
from planner.sim.score import score
from planner.sim.static import best_static

if TYPE_CHECKING:
    from planner.sim.oracle import Oracle

Hear = Callable[[str, float], None]
"""Told who is simulated and which share of the trace has arrived; a search begins anew at 0."""
_Share = Callable[[float], None]
_ALL_REMOTE = RemotePrefill()


def unheard(_name: str, _share: float) -> None:
    """Report progress to nobody."""


def simulate(  # noqa: PLR0913 - independent and mostly optional
    trace: TraceLike,
    profile: ProfileLike,
    sla: SlaLike | PolicyConfig,
    *,
    policies: str | Sequence[str] = PLANNER,
    fleet: FleetLike | None = None,
    oracle: bool = False,
    cold_start_seconds: float | None = None,
    max_gpus: int | None = None,
    score_from_seconds: float | None = None,
    hands_off_seconds: float = 0.0,
    remote_prefill: RemotePrefill = _ALL_REMOTE,
    progress: Hear = unheard,
) -> Simulation:
    """Return what the planner would have done on a load, and what came of it.

    *trace* is a file (Azure CSV, Mooncake JSONL), ``bundled:azure-conv``, a `Trace`, a pandas
    DataFrame or dict with columns ``arrival_seconds`` (seconds, or dates and times), ``isl`` and
    ``osl`` (tokens), or an array of shape (requests, 3) with these; rows in order of arrival.
    *profile* is a name, a path or what `load_profile` returned; *sla* is text such as
    ``ttft=200ms,itl=20ms``, an `Sla`, or a `PolicyConfig` with all that can be set about decisions.

    *policies* says who scales: ``planner``, ``static`` (a fixed fleet: *fleet*, else the cheapest
    that keeps the SLA), a peer such as ``hpa``, or several. *fleet* has the replicas at the start
    by role, which also says whether it is ``aggregated`` or ``prefill`` with ``decode``; without
    it the fleet begins with what the load's beginning needs. *oracle* also finds the least that
    perfect foresight would need, which takes longer. *cold_start_seconds* (60 unless told) and
    *max_gpus* (no limit) win over those of a `PolicyConfig`. What arrives from
    *score_from_seconds* on is scored: 300, or 0 for a trace of less than 600 s. Until
    *hands_off_seconds* policies only watch. *remote_prefill* says which prompts leave decode
    replicas. *progress* is told who is simulated and the share, 0 to 1, that has arrived.

    Raises TraceError and ProfileError for a load and a profile that cannot be read, ConfigError
    for any other argument, and SlaInfeasible where no number of replicas could meet the SLA.
    Equal arguments give equal results.

    >>> import planner
    >>> done = planner.simulate(
    ...     "bundled:azure-conv", "llama-3.1-8b-fp8-h200", "ttft=500ms,itl=50ms",
    ...     cold_start_seconds=30,
    ... )
    >>> done.result.requests, done.result.completed, done.attainment > 0.99
    (1445, 1445, True)
    >>> sorted(done.to_dict())[:3]
    ['attainment', 'completed', 'duration_seconds']
    """
    wanted = Wanted(
        policies=policies,
        fleet=fleet,
        oracle=oracle,
        cold_start_seconds=cold_start_seconds,
        max_gpus=max_gpus,
        score_from_seconds=score_from_seconds,
        hands_off_seconds=hands_off_seconds,
        remote_prefill=remote_prefill,
    )
    return _simulated(setting(trace, profile, sla, wanted), progress)


def _simulated(chosen: Setting, progress: Hear) -> Simulation:
    runs = tuple(_run(name, chosen, partial(progress, name)) for name in chosen.policies)
    if chosen.policies == (STATIC,) and not chosen.fleet:
        _check_static(runs[0].result, chosen)
    best = _oracle(chosen, partial(progress, "oracle")) if chosen.oracle else None
    return Simulation(setting=chosen, runs=runs, oracle=best)


def _run(name: str, chosen: Setting, hear: _Share) -> Run:
    started = time.perf_counter()
    hear(0.0)
    result, wishes = _outcome(name, chosen, hear)
    return Run(
        name=name,
        result=result,
        score=score(result, start_seconds=chosen.score_from_seconds),
        wishes=wishes,
        wall_seconds=time.perf_counter() - started,
    )


def _outcome(name: str, chosen: Setting, hear: _Share) -> tuple[SimResult, tuple[Wish, ...]]:
    trace, config, profile = chosen.trace, chosen.config, chosen.profile
    if name == STATIC:
        return _unscaled(chosen, hear), ()
    if name == PLANNER:
        result = backtest(trace, config, profile, fleet=chosen.scenario, progress=hear)
        return result, tuple(Wish(at=plan.at, desired=plan.desired) for plan in result.plans)
    watched = _Watched(PEERS[name].make(config, profile, headroom=config.headroom))
    result = run_trace(trace, chosen.scenario, policy=watched, progress=hear)
    return result, tuple(watched.wishes)


def _unscaled(chosen: Setting, hear: _Share) -> SimResult:
    """Return the run of the fixed fleet that was asked for, else of the best one."""
    if chosen.fleet:
        return run_trace(chosen.trace, chosen.scenario, progress=hear)
    config = chosen.config
    most = {role: config.bounds[role].maximum for role in config.roles}
    return best_static(chosen.trace, chosen.scenario, most=most, progress=hear)


def _check_static(best: SimResult, chosen: Setting) -> None:
    config = chosen.config
    if best.attainment >= config.sla.attainment:
        return
    fleet = " and ".join(f"{config.bounds[role].maximum} {role}" for role in config.roles)
    raise SlaInfeasible(
        f"{config.sla}: a fixed fleet of {fleet} replicas reaches only "
        f"{format_share(best.attainment)} on this trace",
        hint="give looser targets with --sla, or allow more replicas with --max",
    )


def _oracle(chosen: Setting, hear: _Share) -> "Oracle":
    from planner.sim.oracle import oracle  # only where it is asked for

    hear(0.0)
    return oracle(
        chosen.trace,
        chosen.scenario,
        attainment=chosen.config.sla.attainment,
        start_seconds=chosen.score_from_seconds,
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
