"""The instance that works on the fewest requests of this client."""

from collections.abc import Mapping, Sequence
from random import Random

from runtime.instance import InstanceRecord


class LeastLoaded:
    """Fewest in flight; drawn among equals, so that several clients do not agree on the first."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def choose(
        self, candidates: Sequence[InstanceRecord], in_flight: Mapping[int, int]
    ) -> InstanceRecord:
        """Return one of those with the fewest."""
        loads = [in_flight.get(candidate.instance_id, 0) for candidate in candidates]
        fewest = min(loads)
        equals = [place for place, load in enumerate(loads) if load == fewest]
        return candidates[equals[0] if len(equals) == 1 else self._rng.choice(equals)]
