"""What a routing strategy is, and the strategies by name."""

from collections.abc import Mapping, Sequence
from random import Random, SystemRandom
from typing import Literal, Protocol

from runtime.instance import InstanceRecord
from runtime.router.direct import Direct
from runtime.router.least_loaded import LeastLoaded
from runtime.router.random import RandomChoice
from runtime.router.round_robin import RoundRobin

StrategyName = Literal["round_robin", "random", "least_loaded", "direct"]


class Strategy(Protocol):
    """Chooses the instance of one request."""

    def choose(
        self, candidates: Sequence[InstanceRecord], in_flight: Mapping[int, int]
    ) -> InstanceRecord:
        """Return one of *candidates*: at least one, by ascending id.

        *in_flight* is how many requests of this client each instance works on; none is absent.
        """
        ...


def make_strategy(name: StrategyName, rng: Random | None = None) -> Strategy:
    """Return a new strategy *name*; *rng* is what it draws from. ValueError for unknown names."""
    draw = rng or SystemRandom()
    match name:
        case "round_robin":
            return RoundRobin()
        case "random":
            return RandomChoice(draw)
        case "least_loaded":
            return LeastLoaded(draw)
        case "direct":
            return Direct()
    raise ValueError(f"strategy {name!r}: expected round_robin, random, least_loaded or direct")
