"""Need now: replicas that the present state of the engines asks for, whatever was forecast."""

from math import ceil, exp, inf

from planner.core.demand import prefill_seconds, ttft_slack
from planner.core.engine import EngineModel
from planner.core.observation import Replicas, RoleLoad
from planner.core.policy import PolicyConfig
from planner.core.role import Role
from planner.core.workload import Workload

# KV usage that says the batch is about to be limited, and the usage to spread it to.
_KV_FULL = 0.95
_KV_ROOMY = 0.85
# One observation may at most double a fleet.
_MOST_GROWTH = 2


def backlog_replicas(
    config: PolicyConfig,
    role: Role,
    engine: EngineModel,
    workload: Workload,
    *,
    load: RoleLoad,
    replicas: Replicas,
) -> tuple[int, float]:
    """Return the replicas that clear what waits for *role*, and that backlog in seconds of work.

    A replica asked for now serves one lead from now. What is still waiting then, with the present
    fleet at work until then, is to be cleared within the longer of lead and TTFT target:
    8 s of work waiting, 1.5 replicas' worth arriving, 2 serving and a lead of 10 s leave
    8 - 0.5 * 10 = 3 s, so 1.5 + 3 / 10 -> 2 replicas. Fewer waiting than the slack allows is no
    backlog.
    """
    seconds = _waiting_seconds(role, engine, workload, load)
    slack = ttft_slack(role, engine, config.sla, workload)
    if seconds <= max(slack, 0.0) * max(1, replicas.ready) or slack == inf:
        return 0, seconds
    busy = workload.rate_rps * prefill_seconds(engine, workload)
    left = seconds + (busy - replicas.current) * config.lead_seconds
    clearing = max(0.0, left) / max(config.lead_seconds, config.sla.ttft_seconds or 0.0)
    return _bounded(ceil(busy + clearing), replicas), seconds


def _waiting_seconds(role: Role, engine: EngineModel, workload: Workload, load: RoleLoad) -> float:
    if role is Role.DECODE:
        return 0.0
    each = prefill_seconds(engine, workload)
    if load.waiting_tokens is not None:
        return each * load.waiting_tokens / workload.isl
    return each * (load.waiting or 0)


def kv_replicas(*, load: RoleLoad, replicas: Replicas) -> tuple[int, float]:
    """Return the replicas over which the KV cache would be roomy, and its usage with the queue.

    0 replicas below 95 %. Requests that wait for a place count as if they had one.
    """
    if load.kv_usage is None:
        return 0, 0.0
    waiting, running = load.waiting or 0, load.running or 0
    usage = load.kv_usage * (1 + waiting / running) if running else load.kv_usage
    if usage < _KV_FULL:
        return 0, usage
    return _bounded(ceil(replicas.ready * usage / _KV_ROOMY), replicas), usage


def _bounded(needed: int, replicas: Replicas) -> int:
    return min(needed, _MOST_GROWTH * max(1, replicas.current))


def lateness_factor(late_share: float | None, *, attainment: float) -> float:
    """Return the factor on headroom for an observed *late_share*: 1 when few enough are late.

    It starts at 70 % of the lateness that the SLA allows and ends at 1.2. One-sided: quiet hours do
    not sell the headroom that the next burst needs.
    """
    if late_share is None:
        return 1.0
    excess = late_share / (0.7 * (1 - attainment)) - 1
    return exp(0.06 * min(3.0, max(0.0, excess)))
