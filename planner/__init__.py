"""Keeps LLM deployments inside their latency SLA on the fewest GPUs.

The names below are the public library. They load on first use, since this module runs on every
import of any part of the package, in workers too.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from planner.api.runs import Simulation as Simulation
    from planner.api.simulation import simulate as simulate
    from planner.api.sizing import Recommendation as Recommendation
    from planner.api.sizing import recommend as recommend
    from planner.core.decide import decide as decide
    from planner.core.observation import Observation as Observation
    from planner.core.plan import Plan as Plan
    from planner.core.policy import PolicyConfig as PolicyConfig
    from planner.core.profile import Profile as Profile
    from planner.core.role import Role as Role
    from planner.core.sizing import Sizing as Sizing
    from planner.core.sizing import size as size
    from planner.core.sla import Sla as Sla
    from planner.core.state import PolicyState as PolicyState
    from planner.core.workload import Workload as Workload
    from planner.errors import PlannerError as PlannerError
    from planner.profiles import load_profile as load_profile
    from planner.sim.backtest import backtest as backtest
    from planner.sim.oracle import oracle as oracle
    from planner.sim.run import Scenario as Scenario
    from planner.sim.score import score as score
    from planner.traces import Trace as Trace

_HOMES = {
    "Observation": "planner.core.observation",
    "Plan": "planner.core.plan",
    "PlannerError": "planner.errors",
    "PolicyConfig": "planner.core.policy",
    "PolicyState": "planner.core.state",
    "Profile": "planner.core.profile",
    "Recommendation": "planner.api.sizing",
    "Role": "planner.core.role",
    "Scenario": "planner.sim.run",
    "Simulation": "planner.api.runs",
    "Sizing": "planner.core.sizing",
    "Sla": "planner.core.sla",
    "Trace": "planner.traces",
    "Workload": "planner.core.workload",
    "backtest": "planner.sim.backtest",
    "decide": "planner.core.decide",
    "load_profile": "planner.profiles",
    "oracle": "planner.sim.oracle",
    "recommend": "planner.api.sizing",
    "score": "planner.sim.score",
    "simulate": "planner.api.simulation",
    "size": "planner.core.sizing",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Return the public *name* from where it lives."""
    if name not in _HOMES:
        raise AttributeError(f"module 'planner' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
