"""How fast decisions are: one deployment in steady use, and a pass over 10,000 of them.

`python benchmarks/decide.py` prints a Markdown row and writes results/decide.json. Times are CPU
time of this process. A calibration loop beside them tells how fast the machine was just then.
"""

import gc
import json
import math
import pickle
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import starmap
from pathlib import Path
from time import process_time

import numpy as np
from results_file import RESULTS, write

from planner.core.decide import PolicyConfig, PolicyState, decide
from planner.core.observation import (
    Arrivals,
    Observation,
    Replicas,
    RoleLoad,
    StepSums,
    Traffic,
)
from planner.core.role import Role
from planner.core.sla import Sla
from planner.profiles import load_profile

PROFILE = load_profile("llama-3.1-8b-fp8-h200")
CONFIG = PolicyConfig(
    sla=Sla(ttft_seconds=0.5, itl_seconds=0.05, attainment=0.99), cold_start_seconds=90.0
)
INTERVAL, BIN_SECONDS, BINS = 5.0, 0.25, 20
CLOCK = 1_763_740_800.0
WALKS, WARM_UP, LOOKS = 50, 200, 200
DEPLOYMENTS = WALKS * LOOKS
ISL, OSL = 1155, 211
CALIBRATION_STEPS = 400_000

Pair = tuple[PolicyState, Observation]


def look(index: int, phase: float, rng: np.random.Generator) -> Observation:
    """Return one look at a deployment whose load goes up and down, 20 bins and both roles."""
    rate = 150 + 80 * math.sin(index / 60 + phase)
    counts = rng.poisson(rate * BIN_SECONDS, BINS)
    arrivals = Arrivals(
        bin_seconds=BIN_SECONDS,
        counts=tuple(counts.tolist()),
        isl=tuple((counts * ISL).tolist()),
        isl_squared=tuple((2 * counts * ISL**2).tolist()),
    )
    seen = traffic(arrivals, late=rng.integers(0, 3).item())
    return Observation(
        at=CLOCK + INTERVAL * index + 1e-3 * rng.random(),
        fleet={Role.PREFILL: Replicas(ready=5), Role.DECODE: Replicas(ready=4)},
        traffic=seen,
        load=loads(seen),
    )


def traffic(arrivals: Arrivals, *, late: int) -> Traffic:
    """Return an interval in which as many requests finish as arrive, *late* of them late."""
    count = sum(arrivals.counts)
    return Traffic(
        seconds=INTERVAL,
        arrived=count,
        isl_sum=float(sum(arrivals.isl)),
        isl_squared_sum=float(sum(arrivals.isl_squared)),
        finished=count,
        osl_sum=float(count * OSL),
        context_osl_sum=float(count * OSL * (ISL + OSL // 2)),
        within_sla=count - late,
        ttft_sum=count * 0.1,
        ttft_count=count,
        itl_sum=count * 0.03,
        itl_count=count,
        arrivals=arrivals,
    )


def loads(served: Traffic) -> dict[Role, RoleLoad]:
    """Return what the engines of both roles say while *served* is."""
    count = served.arrived
    prefill = StepSums(
        seconds=14.0,
        steps=300,
        prefill_steps=300,
        decoded=0,
        kv_tokens=0,
        prefilled=int(served.isl_sum),
        prefilled_squared=int(served.isl_squared_sum),
    )
    decode = StepSums(
        seconds=14.0,
        steps=1300,
        prefill_steps=0,
        decoded=count * OSL,
        kv_tokens=count * OSL * ISL,
        prefilled=0,
        prefilled_squared=0,
    )
    return {
        Role.PREFILL: RoleLoad(waiting=3, running=5, steps=prefill),
        Role.DECODE: RoleLoad(waiting=0, running=count, kv_usage=0.3, steps=decode),
    }


def walked(walk: int) -> list[Pair]:
    """Return (state, look to decide on) pairs of one deployment in steady use."""
    rng = np.random.default_rng(walk)
    state, pairs = PolicyState(), []
    for index in range(WARM_UP + LOOKS):
        observation = look(index, walk, rng)
        if index >= WARM_UP:
            pairs.append((state, observation))
        state, _ = decide(CONFIG, PROFILE, state, observation)
    return pairs


def unshared(pair: Pair) -> Pair:
    """Return a copy that shares nothing with the other looks of its walk."""
    copy: Pair = pickle.loads(pickle.dumps(pair))
    return copy


def fastest(run: Callable[[], object], repeats: int) -> float:
    """Return the least CPU time of *repeats* runs, in seconds."""
    times = []
    for _ in range(repeats):
        start = process_time()
        run()
        times.append(process_time() - start)
    return min(times)


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep the collector of cycles off, as a planner of thousands would: decisions make none."""
    gc.collect()
    gc.disable()
    try:
        yield
        if gc.collect():
            raise RuntimeError("decisions made cycles")
    finally:
        gc.enable()


def calibration() -> int:
    """Return a sum that takes 400,000 steps of plain Python."""
    total = 0
    for step in range(CALIBRATION_STEPS):
        total += step * step % 7
    return total


def resident_mib() -> float:
    """Return the memory that this process holds, in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def one(state: PolicyState, observation: Observation) -> PolicyState:
    """Return the state after one decision."""
    return decide(CONFIG, PROFILE, state, observation)[0]


def main() -> None:
    """Measure, print the rows, and write results/decide.json."""
    walk = walked(0)
    state_bytes = max(len(json.dumps(state.to_dict())) for state, _ in walk)
    steady = fastest(lambda: list(starmap(one, walk)), 30) / len(walk)
    empty = resident_mib()
    pairs = [unshared(pair) for number in range(WALKS) for pair in walked(number)]
    filled = resident_mib()
    whole = fastest(lambda: list(starmap(one, pairs)), 3)
    with uncollected():
        alone = fastest(lambda: list(starmap(one, pairs)), 3)
    found = {
        "microseconds_a_decision": round(steady * 1e6, 1),
        "deployments": DEPLOYMENTS,
        "seconds_a_pass": round(whole, 2),
        "seconds_a_pass_uncollected": round(alone, 2),
        "kib_a_deployment": round((filled - empty) * 1024 / DEPLOYMENTS, 1),
        "state_bytes": state_bytes,
        "calibration_ms": round(fastest(calibration, 10) * 1e3, 1),
    }
    print(
        f"| {found['microseconds_a_decision']} us | {found['seconds_a_pass']} s "
        f"| {found['seconds_a_pass_uncollected']} s | {found['kib_a_deployment']} KiB "
        f"| {state_bytes} bytes | {found['calibration_ms']} ms |"
    )
    write(RESULTS / "decide.json", found)


if __name__ == "__main__":
    main()
