"""The connector of `planner run --observe`: it sees everything and writes nothing."""

import logging
from collections import deque
from collections.abc import Mapping

from connectors.request import check_desired, differences
from planner.core.observation import Replicas
from planner.core.role import Role
from planner.ports import Connector, Outcome, ScaleResult

_REMEMBERED = 1000

log = logging.getLogger(__name__)


class ObserveConnector:
    """Reads the fleet through *connector* and only records what it would have asked of it."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self.recorded: deque[Mapping[Role, int]] = deque(maxlen=_REMEMBERED)
        """What `scale` was asked for and did not do, latest last."""

    async def fleet(self) -> Mapping[Role, Replicas]:
        """Return the fleet of the connector behind it."""
        return await self._connector.fleet()

    async def scale(self, desired: Mapping[Role, int]) -> ScaleResult:
        """Record *desired*: OBSERVED when it would change something, else UNCHANGED."""
        fleet = await self.fleet()
        check_desired(desired, known=fleet)
        if not differences(desired, fleet):
            return ScaleResult(outcome=Outcome.UNCHANGED)
        self.recorded.append(dict(desired))
        wanted = " ".join(f"{role}={count}" for role, count in desired.items())
        log.info("observed only, nothing scaled desired=%s", wanted)
        return ScaleResult(outcome=Outcome.OBSERVED)

    async def close(self) -> None:
        """Close the connector behind it."""
        await self._connector.close()
