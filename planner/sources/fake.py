"""A source of observations that its user sets; for tests of whatever needs a MetricsSource."""

from collections.abc import Mapping
from dataclasses import replace

from planner.core.observation import Observation, Replicas
from planner.core.role import Role
from planner.errors import MetricsUnavailable


class FakeSource:
    """Answers with *observation*, as of now and for the fleet that is asked about.

    While *observation* is None, as after an outage, it raises MetricsUnavailable.
    """

    def __init__(self, observation: Observation | None = None) -> None:
        self.observation = observation
        self.looks = 0
        self.is_closed = False

    async def observe(self, fleet: Mapping[Role, Replicas], *, now: float) -> Observation:
        """Return the set observation; raises MetricsUnavailable while there is none."""
        self.looks += 1
        if self.observation is None:
            raise MetricsUnavailable("the source was told to fail")
        return replace(self.observation, at=now, fleet=dict(fleet))

    async def close(self) -> None:
        """Note that it was closed."""
        self.is_closed = True
