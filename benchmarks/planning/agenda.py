"""What is run, the most telling first, so that a run cut short says as much as it can."""

from collections.abc import Iterator, Sequence

from jobs import COLD_START, DRAWN, FASTER, FIXED, NOISE, ORACLE, PLANNER, SLOWER, Job
from loads import LOADS, TUNED, Load

from planner.peers import PEERS

HEADROOMS = (0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0)
"""Of the planner, whose curve these make; 1.0 is its default."""
PEER_HEADROOMS = (1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 2.5, 3.5, 5.0)
"""Of the peers; 1.0 is what their documents say."""
LONG_HEADROOMS = (0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0)
LONG_PEER_HEADROOMS = (1.0, 1.4, 2.0, 3.5)
COLD_STARTS = (5.0, 30.0)
TRUTHS = (NOISE, DRAWN, SLOWER, FASTER)
VARIED = ("conversation", "mooncake", "weekday")
"""Loads on which cold starts and wrong profiles are tried."""
ORACLE_SEEDS = {"conversation": 2, "mooncake": 2, "weekday": 5, TUNED: 1, "week": 1}
"""How many seeds perfect foresight is searched for, where a search takes minutes."""
SHORT = ("conversation", "mooncake", "weekday")
SHORT_PEERS = ("dynamo-loops", "dynamo-throughput")
_NO_SEARCH = 15
"""Simulations that suffice for the dynamic programme alone."""

Ranked = tuple[float, Job]


def full(loads: Sequence[str]) -> list[Job]:
    """Return every job on *loads*, in the order in which they are worth running."""
    ranked = [pair for name in loads for pair in _ranked(LOADS[name])]
    return [job for _, job in sorted(ranked, key=lambda pair: pair[0])]


def short(loads: Sequence[str]) -> list[Job]:
    """Return what tells in minutes whether something got worse: one seed, defaults, no search."""
    jobs = []
    for name in loads:
        seed = LOADS[name].seeds[0]
        jobs += [Job(load=name, seed=seed, policy=p) for p in (PLANNER, *SHORT_PEERS)]
        if not LOADS[name].is_long:
            jobs.append(Job(load=name, seed=seed, policy=FIXED))
            jobs.append(Job(load=name, seed=seed, policy=ORACLE, evaluations=_NO_SEARCH))
    return jobs


def _ranked(load: Load) -> Iterator[Ranked]:
    """Yield each job of *load* with its rank: the default, one seed of everything, the rest."""
    for place, seed in enumerate(load.seeds):
        yield 0, Job(load=load.name, seed=seed, policy=PLANNER)
        late = 2 * min(place, 1) + load.is_long
        if place < ORACLE_SEEDS.get(load.name, len(load.seeds)):
            yield 1.5 + late, Job(load=load.name, seed=seed, policy=ORACLE)
        if load.name != TUNED:
            yield from _compared(load, seed, late=late)
        if load.name in VARIED:
            yield from _varied(load.name, seed, rank=2 + late)


def _compared(load: Load, seed: int, *, late: int) -> Iterator[Ranked]:
    """Yield who the planner is compared with, and what its own curve is made of."""
    yield 1 + late, Job(load=load.name, seed=seed, policy=FIXED)
    for peer in PEERS:
        for headroom in LONG_PEER_HEADROOMS if load.is_long else PEER_HEADROOMS:
            rank = (1 if headroom == 1.0 else 3) + late
            yield rank, Job(load=load.name, seed=seed, policy=peer, headroom=headroom)
    for headroom in LONG_HEADROOMS if load.is_long else HEADROOMS:
        if headroom != 1.0:
            yield 2 + late, Job(load=load.name, seed=seed, policy=PLANNER, headroom=headroom)


def _varied(load: str, seed: int, *, rank: float) -> Iterator[Ranked]:
    for seconds in COLD_STARTS:
        yield rank, Job(load=load, seed=seed, policy=PLANNER, cold_start=seconds)
    for truth in TRUTHS:
        yield rank, Job(load=load, seed=seed, policy=PLANNER, cold_start=COLD_START, truth=truth)
