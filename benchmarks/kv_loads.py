"""Requests whose prompts share beginnings: recorded ones, and conversations drawn at random."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import numpy as np

from planner.traces import open_trace

BLOCK = 512
"""Tokens of a hash id."""
OUTPUT = 400
MOST_RECORDED_OUTPUT = 64
"""What is compared comes before the first token, and longer answers take longer to simulate."""
_LOWEST, _HIGHEST = 100, 255
"""Token ids that every vocabulary has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request: when it is sent, in seconds from the first, and what its prompt is made of."""

    at: float
    hash_ids: tuple[int, ...]
    isl: int
    osl: int

    def tokens(self) -> list[int]:
        """Return its prompt: every hash id stands for the same tokens wherever it appears."""
        return [token for one in self.hash_ids for token in _block(one)][: self.isl]


@cache
def _block(hash_id: int) -> list[int]:
    rng = np.random.default_rng(hash_id)
    tokens: list[int] = rng.integers(_LOWEST, _HIGHEST + 1, size=BLOCK).tolist()
    return tokens


def recorded(path: Path, *, seconds: float, speed: float) -> list[Request]:
    """Return the first *seconds* of a trace, sent *speed* times as fast."""
    trace = open_trace(path)
    assert trace.hash_ids is not None, f"{path} has no hash ids"
    return [
        Request(at=at / speed, hash_ids=ids, isl=int(isl), osl=min(int(osl), MOST_RECORDED_OUTPUT))
        for at, ids, isl, osl in zip(
            trace.arrival_seconds.tolist(), trace.hash_ids, trace.isl, trace.osl, strict=True
        )
        if at < seconds
    ]


def conversations(*, count: int, seconds: float, osl: int = OUTPUT) -> list[Request]:
    """Return conversations that begin with one of four system prompts and take 2 to 8 turns."""
    rng, fresh = Random(1), iter(range(1000, 10**9))
    systems = [[next(fresh) for _ in range(4)] for _ in range(4)]
    made = []
    for _ in range(count):
        at, ids = rng.uniform(0, seconds * 0.8), list(rng.choice(systems))
        for _ in range(rng.randint(2, 8)):
            ids += [next(fresh) for _ in range(rng.randint(1, 4))]
            isl = len(ids) * BLOCK - rng.randrange(BLOCK // 2)
            made.append(Request(at=at, hash_ids=tuple(ids), isl=isl, osl=osl))
            at += 2.0 + rng.expovariate(1 / 4.0)
    return sorted((one for one in made if one.at < seconds), key=lambda one: one.at)


def sharable(requests: Sequence[Request]) -> float:
    """Return the share of prompt tokens that one cache without limits would have found."""
    seen: set[int] = set()
    found = 0
    for one in requests:
        for place, block in enumerate(one.hash_ids):
            if block not in seen:
                break
            found += min(BLOCK, one.isl - place * BLOCK)
        seen.update(one.hash_ids)
    return found / sum(one.isl for one in requests)
