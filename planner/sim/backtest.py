"""The production decision on a trace: `planner simulate` and the what-if page call this."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from planner.core.budget import fitted
from planner.core.decide import decide
from planner.core.observation import Observation
from planner.core.plan import Plan
from planner.core.policy import PolicyConfig
from planner.core.profile import Profile
from planner.core.role import Role
from planner.core.sizing import size
from planner.core.state import PolicyState
from planner.core.workload import Workload
from planner.errors import TraceError
from planner.sim.deployment import RemotePrefill
from planner.sim.result import SimResult
from planner.sim.run import Scenario, simulate, unheard
from planner.traces import Trace, head

# Long enough to tell a load.
_BEGINNING_SECONDS = 90.0


class Decisions:
    """`decide` as a policy of the simulator; *plans* are all that it made, in order."""

    plans: list[Plan]

    def __init__(self, config: PolicyConfig, profile: Profile) -> None:
        self.plans = []
        self._config = config
        self._profile = profile
        self._state = PolicyState()

    def __call__(self, observation: Observation) -> Mapping[Role, int]:
        """Return the replicas that `decide` wants for *observation*."""
        self._state, plan = decide(self._config, self._profile, self._state, observation)
        self.plans.append(plan)
        return plan.desired


def scenario(
    config: PolicyConfig,
    profile: Profile,
    initial: Mapping[Role, int],
    *,
    remote_prefill: RemotePrefill | None = None,
) -> Scenario:
    """Return the deployment that *config* describes, with *initial* replicas ready.

    Without *remote_prefill* every prompt is prefilled by a prefill replica.
    """
    return Scenario(
        sla=config.sla,
        models={role: profile.engine(config.parallelism.get(role)) for role in config.roles},
        initial=initial,
        gpus_per_replica={role: config.gpus_per_replica(role) for role in config.roles},
        cold_start_seconds=config.cold_start_seconds,
        interval_seconds=config.interval_seconds,
        remote_prefill=remote_prefill or RemotePrefill(),
    )


def backtest(
    trace: Trace,
    config: PolicyConfig,
    profile: Profile,
    *,
    fleet: Scenario,
    progress: Callable[[float], None] = unheard,
) -> SimResult:
    """Return what becomes of *trace* when `decide` scales *fleet*, with all its plans."""
    decisions = Decisions(config, profile)
    result = simulate(trace, fleet, policy=decisions, progress=progress)
    return replace(result, plans=tuple(decisions.plans))


def opening_fleet(trace: Trace, config: PolicyConfig, profile: Profile) -> dict[Role, int]:
    """Return replicas sized for the load with which *trace* begins, inside bounds and budget.

    That is a deployment which fits its traffic so far; what follows is the policy's to meet.
    Raises SlaInfeasible, and TraceError for a trace without requests.
    """
    # What a policy cannot answer anyway.
    beginning = head(trace, max(_BEGINNING_SECONDS, config.lead_seconds))
    if not len(beginning):
        raise TraceError(f"trace {trace.name}: no requests left", hint="widen the window")
    engines = {role: profile.at(config.parallelism.get(role)).parallelism for role in config.roles}
    sizing = size(profile, config.sla, workload(beginning), roles=config.roles, parallelism=engines)
    counts = {role: config.bounds[role].clamp(part.replicas) for role, part in sizing.roles.items()}
    if config.max_gpus is None:
        return counts
    return fitted(
        counts,
        floors={role: config.bounds[role].minimum for role in counts},
        gpus_per_replica={role: config.gpus_per_replica(role) for role in counts},
        max_gpus=config.max_gpus,
    )


def workload(trace: Trace) -> Workload:
    """Return the steady load that has *trace*'s rate and the moments of its lengths."""
    isl, osl = trace.isl.astype(float), trace.osl.astype(float)
    return Workload(
        rate_rps=len(trace) / max(trace.duration_seconds, 1.0),
        isl=float(isl.mean()),
        osl=float(osl.mean()),
        isl_squared=float((isl**2).mean()),
        context_osl=float(((isl + osl / 2) * osl).mean()),
    )
