"""Every instance in turn."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from operator import attrgetter

from runtime.instance import InstanceRecord

_by_id = attrgetter("instance_id")


class RoundRobin:
    """The instance with the next higher id: fair also while instances come and go."""

    def __init__(self) -> None:
        self._last = -1

    def choose(
        self,
        candidates: Sequence[InstanceRecord],
        in_flight: Mapping[int, int],  # noqa: ARG002 - a turn is a turn
    ) -> InstanceRecord:
        """Return the instance after the last one."""
        position = bisect_right(candidates, self._last, key=_by_id)
        chosen = candidates[position % len(candidates)]
        self._last = chosen.instance_id
        return chosen
