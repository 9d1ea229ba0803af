"""Need now: replicas that the present state of the engines asks for, whatever was forecast."""

from math import ceil, exp, inf

from planner.core.demand import batch_held, prefill_seconds
from planner.core.engine import EngineModel
from planner.core.observation import Replicas, RoleLoad
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.workload import Workload

# A pool this full is about to be late; chance alone seldom fills it so far.
_FULL = 1.1
# KV usage to which a full cache is spread.
_KV_ROOMY = 0.85
# Pressure may at most ask for twice what is ready: more is a matter of the forecast.
_MOST_GROWTH = 2


def backlog_seconds(role: Role, engine: EngineModel, workload: Workload, load: RoleLoad) -> float:
    """Return the prefill work that waits for *role*, in engine-seconds."""
    if role is Role.DECODE:
        return 0.0
    each = prefill_seconds(engine, workload)
    if load.waiting_tokens is not None:
        return each * load.waiting_tokens / workload.isl
    return each * (load.waiting or 0)


def clearing_replicas(
    seconds: float, *, busy: float, slack_seconds: float, lead_seconds: float, replicas: Replicas
) -> int:
    """Return the replicas that clear *seconds* of waiting work; 0 while the wait is within slack.

    A replica asked for now serves one lead from now. What then still waits, with the present fleet
    at work until then, is to be cleared within another: 8 s of work waiting, 1.5 *busy* replicas'
    worth arriving, 2 serving and a lead of 10 s leave 8 - 0.5 * 10 = 3 s, so 1.5 + 3 / 10 -> 2.
    """
    if slack_seconds == inf or seconds <= max(slack_seconds, 0.0) * max(1, replicas.ready):
        return 0
    left = max(0.0, seconds + (busy - replicas.current) * lead_seconds)
    return _bounded(ceil(busy + left / lead_seconds), replicas)


def fullness(
    role: Role, engine: EngineModel, sla: Sla, workload: Workload, *, load: RoleLoad, ready: int
) -> float:
    """Return how full the ready replicas of a decoding *role* are; 1 is all that they should hold.

    That is the batch at which ITL reaches its target, or a roomy KV cache, whichever ends first.
    What waits for a place counts as if it had one.
    """
    running, waiting = load.running or 0, load.waiting or 0
    held = batch_held(role, engine, sla, workload) * max(1, ready)
    by_batch = (running + waiting) / held if held else 0.0
    queue = 1 + waiting / running if running else 1.0
    return max(by_batch, (load.kv_usage or 0.0) * queue / _KV_ROOMY)


def roomy_replicas(full: float, replicas: Replicas) -> int:
    """Return the replicas over which a pool that is *full* would be just so; 0 when it is not."""
    return _bounded(ceil(replicas.ready * full), replicas) if full >= _FULL else 0


def _bounded(needed: int, replicas: Replicas) -> int:
    return min(needed, _MOST_GROWTH * max(1, replicas.ready))


def lateness_factor(late_share: float | None, *, attainment: float) -> float:
    """Return the factor on headroom for an observed *late_share*: 1 when few enough are late.

    It starts at 70 % of the lateness that the SLA allows and ends at 1.2. One-sided: quiet hours do
    not sell the headroom that the next burst needs.
    """
    if late_share is None:
        return 1.0
    excess = late_share / (0.7 * (1 - attainment)) - 1
    return exp(0.06 * min(3.0, max(0.0, excess)))
