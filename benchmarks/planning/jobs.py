"""One simulation each: a policy at one setting on one load, and the row of figures it gives."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from time import perf_counter

import numpy as np
from fixed import FixedFleets
from loads import LOADS, Load

from planner.core.engine import EngineModel
from planner.core.policy import PolicyConfig
from planner.core.profile import Profile
from planner.core.role import Role
from planner.peers import PEERS
from planner.profiles import load_profile
from planner.sim.backtest import Decisions, opening_fleet, scenario
from planner.sim.oracle import oracle
from planner.sim.result import SimResult
from planner.sim.run import Policy, Scenario, simulate
from planner.sim.score import score
from planner.traces import Trace

PROFILE = "llama-3.1-8b-fp8-h200"
PLANNER, FIXED, ORACLE = "planner", "fixed", "oracle"
COLD_START, HANDS_OFF, INTERVAL = 90.0, 120.0, 5.0
EXACT, NOISE, DRAWN, SLOWER, FASTER = (
    "exact",
    "each replica off by 20 %",
    "each coefficient off by 20 %",
    "20 % slower",
    "20 % faster",
)
Row = dict[str, object]
Key = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is run; for a fixed fleet, *headroom* is unused: all its settings are one job."""

    load: str
    seed: int
    policy: str
    headroom: float = 1.0
    cold_start: float = COLD_START
    truth: str = EXACT
    """How the engines really are, against the profile that policies know."""
    evaluations: int | None = None
    """Simulations that the oracle's search may take; None leaves that to the oracle."""

    @property
    def key(self) -> Key:
        """What tells this job's rows from others'."""
        return (self.load, self.seed, self.policy, self.headroom, self.cold_start, self.truth)


def key_of(row: Row) -> Key:
    """Return the key of the job that gave *row*; of a fixed fleet only its best row has that."""
    return tuple(
        row[name] for name in ("load", "seed", "policy", "headroom", "cold_start_seconds", "truth")
    )


def run(job: Job, folder: Path) -> list[Row]:
    """Return the rows of *job*, made from the recordings in *folder*."""
    load = LOADS[job.load]
    return list(_rows(job, load, _trace(job.load, job.seed, folder)))


@lru_cache(maxsize=1)
def _trace(load: str, seed: int, folder: Path) -> Trace:
    return LOADS[load].make(folder, seed)


def _rows(job: Job, load: Load, trace: Trace) -> Iterator[Row]:
    profile = load_profile(PROFILE)
    config = PolicyConfig(
        sla=load.sla,
        cold_start_seconds=job.cold_start,
        interval_seconds=INTERVAL,
        headroom=job.headroom if job.policy == PLANNER else 1.0,
    )
    real = _scenario(job, trace, config, profile)
    began = perf_counter()
    if job.policy == FIXED:
        for share, fleet, result in FixedFleets(trace, real, config, profile).chosen():
            yield _row(job, result, headroom=share, fleet=fleet)
    elif job.policy == ORACLE:
        yield {**_oracle(job, trace, real), "wall_seconds": round(perf_counter() - began, 1)}
    else:
        result = simulate(trace, real, policy=_policy(job, config, profile))
        yield {**_row(job, result), "wall_seconds": round(perf_counter() - began, 1)}


def _policy(job: Job, config: PolicyConfig, profile: Profile) -> Policy:
    if job.policy == PLANNER:
        return Decisions(config, profile)
    return PEERS[job.policy].make(config, profile, headroom=job.headroom)


def _oracle(job: Job, trace: Trace, real: Scenario) -> Row:
    best = oracle(trace, real, attainment=real.sla.attainment, evaluations=job.evaluations)
    found = {"method": best.method, "work_bound_gpu_hours": round(best.work_bound_gpu_hours, 3)}
    return {**_row(job, best.result), **found}


def _scenario(job: Job, trace: Trace, config: PolicyConfig, profile: Profile) -> Scenario:
    plain = scenario(config, profile, opening_fleet(trace, config, profile))
    truth = {role: _truth(job, model) for role, model in plain.models.items()}
    noise = 0.2 if job.truth == NOISE else 0.0
    return replace(plain, models=truth, noise=noise, seed=job.seed, hands_off_seconds=HANDS_OFF)


def _truth(job: Job, model: EngineModel) -> EngineModel:
    if job.truth == DRAWN:
        factors = iter(np.random.default_rng(job.seed).uniform(0.8, 1.2, size=6).tolist())
    else:
        factors = iter([{SLOWER: 1.2, FASTER: 0.8}.get(job.truth, 1.0)] * 6)
    prefill = {name: value * next(factors) for name, value in asdict(model.prefill).items()}
    decode = {name: value * next(factors) for name, value in asdict(model.decode).items()}
    return replace(
        model,
        prefill=replace(model.prefill, **prefill),
        decode=replace(model.decode, **decode),
    )


def _row(
    job: Job,
    result: SimResult,
    *,
    headroom: float | None = None,
    fleet: Mapping[Role, int] | None = None,
) -> Row:
    told = score(result)
    return {
        "load": job.load,
        "seed": job.seed,
        "policy": job.policy,
        "headroom": job.headroom if headroom is None else headroom,
        "cold_start_seconds": job.cold_start,
        "truth": job.truth,
        "fleet": None if fleet is None else dict(fleet),
        "requests": told.requests,
        "attainment": round(float(told.attainment), 5),
        "gpu_hours": round(float(told.gpu_hours), 3),
        "scale_actions": int(told.scale_actions),
        "ttft_p99_seconds": _rounded(told.ttft_p99_seconds),
        "itl_p99_seconds": _rounded(told.itl_p99_seconds),
        "peak_gpus": int(result.peak_gpus),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(float(seconds), 4)
