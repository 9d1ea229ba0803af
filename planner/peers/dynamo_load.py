"""The load loop of Dynamo 1.6's planner: one replica up or down by the engines' next latencies."""

from dataclasses import dataclass

from planner.core.engine import EngineModel
from planner.core.role import Role
from planner.core.sla import Sla
from planner.peers.dynamo_capacity import mixed_step_seconds, next_ttft_seconds

# Share of the target that the others must keep after one has gone (load_scaling_down_sensitivity).
_SENSITIVITY = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLoad:
    """The load of the mean worker of a role, which stands for all and for any of them."""

    workers: int
    queued: float
    """Prompts that wait."""
    running: float
    kv_tokens: float
    """Tokens in its KV cache and those that wait for a place in it."""
    isl: float
    osl: float

    def without_one(self) -> "WorkerLoad":
        """Return what every other worker would have if one were gone: N / (N - 1) times as much."""
        factor = self.workers / (self.workers - 1)
        return WorkerLoad(
            workers=self.workers - 1,
            queued=self.queued * factor,
            running=self.running * factor,
            kv_tokens=self.kv_tokens * factor,
            isl=self.isl,
            osl=self.osl,
        )


def load_step(role: Role, engine: EngineModel, sla: Sla, load: WorkerLoad) -> int:
    """Return 1, 0 or -1: up when every worker is late, down when the others would be in time.

    Aggregated workers go up for either latency and down for both.
    """
    votes = []
    if role is not Role.DECODE and sla.ttft_seconds is not None:
        votes.append(_by_ttft(engine, sla.ttft_seconds, load))
    if role is not Role.PREFILL and sla.itl_seconds is not None:
        votes.append(_by_itl(role, engine, sla.itl_seconds, load))
    if 1 in votes:
        return 1
    return -1 if votes and set(votes) == {-1} else 0


def _by_ttft(engine: EngineModel, target: float, load: WorkerLoad) -> int:
    """The own time of a prompt does not shrink with more workers, so only the rest is shared."""
    if _ttft(engine, load, queued=load.queued) > target:
        return 1
    if load.workers < 2:
        return 0
    after = load.without_one()
    own = _ttft(engine, after, queued=0.0)
    waited = _ttft(engine, after, queued=after.queued) - own
    return -1 if waited < (target - own) * _SENSITIVITY else 0


def _ttft(engine: EngineModel, load: WorkerLoad, *, queued: float) -> float:
    return next_ttft_seconds(
        engine, queued=queued, isl=load.isl, batch=load.running, kv_tokens=load.kv_tokens
    )


def _by_itl(role: Role, engine: EngineModel, target: float, load: WorkerLoad) -> int:
    if _itl(role, engine, load, more=1) > target:
        return 1
    if load.workers < 2:
        return 0
    after = load.without_one()
    is_in_time = _itl(role, engine, after, more=0) < target * _SENSITIVITY
    return -1 if is_in_time and after.kv_tokens < engine.limits.kv_capacity_tokens else 0


def _itl(role: Role, engine: EngineModel, load: WorkerLoad, *, more: int) -> float:
    batch = load.running + more
    kv_tokens = load.kv_tokens + more * (load.isl + load.osl / 2)
    if role is Role.DECODE:
        return engine.decode.step_seconds(batch, kv_tokens)
    return mixed_step_seconds(engine, batch=batch, kv_tokens=kv_tokens, isl=load.isl, osl=load.osl)
