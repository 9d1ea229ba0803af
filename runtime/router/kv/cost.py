"""What a request would cost on each worker, and the choice among costs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from runtime.errors import InvalidRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class KvSettings:
    """How a router weighs caches against loads. Raises InvalidRequest for what makes no sense."""

    overlap_weight: float = 8.0
    """What a prompt token that has to be computed counts, against one of KV cache in use.

    A computed token takes an engine as long as hundreds of steps take to read a held one, and
    answers are that long or shorter. Measured by benchmarks/kv_router.py: more than 8 gains little.
    """
    temperature: float = 0.0
    """0 takes the cheapest worker; the higher, the more evenly requests are spread."""

    def __post_init__(self) -> None:
        """Check."""
        for name in ("overlap_weight", "temperature"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise InvalidRequest(f"{name} {value:g}: must be a number of 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What it would cost on one worker."""

    instance_id: int
    cost: float
    known_blocks: int
    """Of the worker's cache: among equals the one with fewer is taken."""


def cost(settings: KvSettings, *, prefill_tokens: int, blocks: int, block_size: int) -> float:
    """Return weight * tokens to prefill + tokens of KV cache in use, both with the request there.

    In tokens rather than blocks, so that workers with blocks of different sizes compare.
    """
    return settings.overlap_weight * prefill_tokens + blocks * block_size


def choose_offer(offers: Sequence[Offer], *, temperature: float, rng: Random) -> Offer:
    """Return the cheapest of *offers*, or with a temperature any, cheap ones more often.

    Then each has the probability exp(-cost / (highest - lowest) / temperature), normed.
    """
    lowest = min(offer.cost for offer in offers)
    highest = max(offer.cost for offer in offers)
    if temperature and highest > lowest:
        scale = (highest - lowest) * temperature
        weights = [math.exp((lowest - offer.cost) / scale) for offer in offers]
        return rng.choices(offers, weights)[0]
    if temperature:
        return rng.choice(offers)
    cheapest = [offer for offer in offers if offer.cost == lowest]
    fewest = min(offer.known_blocks for offer in cheapest)
    equals = [offer for offer in cheapest if offer.known_blocks == fewest]
    return equals[0] if len(equals) == 1 else rng.choice(equals)
