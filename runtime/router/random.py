"""Any instance."""

from collections.abc import Mapping, Sequence
from random import Random

from runtime.instance import InstanceRecord


class RandomChoice:
    """Uniform: many clients that know nothing of each other still spread evenly."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def choose(
        self,
        candidates: Sequence[InstanceRecord],
        in_flight: Mapping[int, int],  # noqa: ARG002 - chance is blind
    ) -> InstanceRecord:
        """Return any of *candidates*."""
        return self._rng.choice(candidates)
