"""Replicas held for bursts that no start could follow: what an operator is to be told of."""

from planner.core.plan import Decision, Reason, Step


def warm_spares(decision: Decision) -> Step | None:
    """Return the step by which *decision* holds replicas for bursts to come, if it has one.

    A single one is no more than what rounding up makes of it.
    """
    for step in decision.steps:
        if step.reason is Reason.BURSTS and step.inputs.get("warm_spares", 0) > 1:
            return step
    return None
