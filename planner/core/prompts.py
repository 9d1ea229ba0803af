"""The prompts of a workload on one engine: their prefill times, computed once for all rates."""

from dataclasses import dataclass
from functools import lru_cache

from planner.core.demand import own_ttft_seconds
from planner.core.engine import EngineModel
from planner.core.role import Role
from planner.core.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """Prefill times of the prompts of a workload.

    *work_seconds* is what one adds to its batch on average, *spread* the squared coefficient of
    variation of that, *own_seconds* pairs of a share of prompts and their TTFT without any wait
    and beside decode steps that take no time.
    """

    work_seconds: float
    spread: float
    own_seconds: tuple[tuple[float, float], ...]

    @property
    def work_mean_square(self) -> float:
        """Mean square of what a prompt adds to its batch."""
        return self.work_seconds**2 * (1 + self.spread)


def prompts(role: Role, engine: EngineModel, workload: Workload) -> Prompts:
    """Return the prefill times of *workload*'s prompts on an engine of *role*."""
    return _prompts(role, engine, workload.isl, workload.isl_mean_square)


@lru_cache(maxsize=4096)
def _prompts(role: Role, engine: EngineModel, isl: float, isl_mean_square: float) -> Prompts:
    law = engine.prefill
    load = Workload(rate_rps=0.0, isl=isl, osl=1.0, isl_squared=isl_mean_square)
    strata = load.isl_strata()
    mean = sum(share * law.marginal_seconds(tokens) for share, tokens in strata)
    square = sum(share * law.marginal_seconds(tokens) ** 2 for share, tokens in strata)
    return Prompts(
        work_seconds=law.token_seconds * isl + law.token_squared_seconds * isl_mean_square,
        spread=max(0.0, square / mean**2 - 1) if mean else 0.0,
        own_seconds=tuple(
            (share, own_ttft_seconds(role, engine, tokens, step_seconds=0.0))
            for share, tokens in strata
        ),
    )
