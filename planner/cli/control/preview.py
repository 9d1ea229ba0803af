"""One decision about a live deployment, made as the control loop makes it, and not acted on."""

import asyncio
from dataclasses import dataclass

from connectors.circus.spec import DeploymentSpec
from planner.cli.control.cold_start import with_cold_start
from planner.cli.control.journal import remembered_state
from planner.cli.control.target import connected
from planner.cli.wiring import check, clocks, policy_for
from planner.config import Settings
from planner.core.decide import decide
from planner.core.feasibility import infeasible
from planner.core.observation import Observation
from planner.core.plan import Plan, Reason
from planner.core.sla import Sla
from planner.core.state import PolicyState
from planner.loop import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What was seen, and what would be done about it."""

    policy: Policy
    observation: Observation
    state: PolicyState
    plan: Plan

    @property
    def sla(self) -> Sla:
        """What the plan is to keep."""
        return self.policy.config.sla


async def preview(settings: Settings, spec: DeploymentSpec | None, *, window: float) -> Preview:
    """Return the decision about what is seen during *window* seconds.

    It goes on from what a planner has remembered here. Raises MetricsUnavailable when nothing can
    be seen.
    """
    steady = clocks().steady
    check(settings)
    async with connected(settings, spec, clock=steady, seeks_lead=False) as target:
        policy = policy_for(settings, target.roles)
        before = remembered_state(settings)
        await target.source.observe({}, now=steady())
        await asyncio.sleep(window)
        fleet = await target.connector.fleet()
        observation = await target.source.observe(fleet, now=steady())
        if settings.cold_start is None:
            policy = with_cold_start(policy, target.cold_start())
    state, plan = decide(policy.config, policy.profile, before, observation)
    return Preview(policy=policy, observation=observation, state=state, plan=plan)


def check_feasible(found: Preview) -> None:
    """Raise SlaInfeasible, naming the nearest SLA that is met, if replicas cannot help."""
    steps = (step for decision in found.plan.decisions.values() for step in decision.steps)
    config = found.policy.config
    workload = found.state.flows.workload(found.state.flows.arrived)
    if workload is not None and any(step.reason is Reason.SLA_INFEASIBLE for step in steps):
        engines = config.engines(found.policy.profile)
        raise infeasible({role: [one] for role, one in engines.items()}, config.sla, workload)
