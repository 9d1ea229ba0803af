"""The cheapest fleet with perfect foresight: the yardstick of every policy."""

from planner.sim.oracle.clairvoyant import Oracle, oracle

__all__ = ["Oracle", "oracle"]
