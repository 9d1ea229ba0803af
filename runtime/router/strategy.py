"""What a routing strategy is, and the strategies by name."""

from collections.abc import Mapping, Sequence
from random import Random, SystemRandom
from typing import Literal, Protocol, get_args, runtime_checkable

from runtime.instance import InstanceRecord
from runtime.router.direct import Direct
from runtime.router.kv.cost import KvSettings
from runtime.router.kv.router import KvRouter
from runtime.router.least_loaded import LeastLoaded
from runtime.router.random import RandomChoice
from runtime.router.round_robin import RoundRobin

StrategyName = Literal["round_robin", "random", "least_loaded", "kv", "direct"]


class Strategy(Protocol):
    """Chooses the instance of one request."""

    def choose(
        self, candidates: Sequence[InstanceRecord], in_flight: Mapping[int, int]
    ) -> InstanceRecord:
        """Return one of *candidates*: at least one, by ascending id.

        *in_flight* is how many requests of this client each instance works on; none is absent.
        """
        ...


class Placement(Protocol):
    """One request where a strategy has put it, and counted there until it ends."""

    @property
    def record(self) -> InstanceRecord:
        """The instance."""
        ...

    @property
    def cached_tokens(self) -> int:
        """Prompt tokens that the strategy expects to be cached there."""
        ...

    def started(self) -> None:
        """Take note of the first item of the response."""
        ...

    def end(self) -> None:
        """Take note that the request is gone from there, however it ended; twice is fine."""
        ...


@runtime_checkable
class PromptStrategy(Strategy, Protocol):
    """A strategy that also looks at prompts."""

    def place(self, candidates: Sequence[InstanceRecord], token_ids: Sequence[int]) -> Placement:
        """Choose one of *candidates*, at least one by ascending id, for a prompt."""
        ...


def make_strategy(
    name: StrategyName, rng: Random | None = None, *, kv: KvSettings | None = None
) -> Strategy:
    """Return a new strategy *name*; *rng* is what it draws from. ValueError for unknown names.

    *kv* are the settings of the strategy of that name.
    """
    draw = rng or SystemRandom()
    match name:
        case "round_robin":
            return RoundRobin()
        case "random":
            return RandomChoice(draw)
        case "least_loaded":
            return LeastLoaded(draw)
        case "kv":
            return KvRouter(kv or KvSettings(), draw)
        case "direct":
            return Direct()
    names = ", ".join(get_args(StrategyName))
    raise ValueError(f"strategy {name!r}: expected one of {names}")
