"""How often the planner scales under a load that never changes: 0 times a day, once it knows it.

`python benchmarks/steady.py [RATE ...] [--seeds N]` simulates Poisson arrivals with lognormal
lengths as in Azure's conversation trace for 30 hours, the first 6 to settle, writes
results/steady.json and prints a Markdown row a run. Every action after settling is listed.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from results_file import RESULTS, write

from planner.core.decide import PolicyConfig
from planner.core.observation import Observation
from planner.core.plan import Decision
from planner.core.role import Role
from planner.core.sla import Sla
from planner.profiles import load_profile
from planner.sim.backtest import Decisions, opening_fleet, scenario
from planner.sim.run import simulate
from planner.sim.score import score
from planner.traces import Trace

RATES_RPS = (5.0, 10.0, 20.0, 35.0, 60.0, 100.0)
SETTLING_HOURS, DAY_HOURS = 6.0, 24.0
Ints = npt.NDArray[np.int64]

PROFILE = load_profile("llama-3.1-8b-fp8-h200")
CONFIG = PolicyConfig(
    sla=Sla(ttft_seconds=0.5, itl_seconds=0.05, attainment=0.99), cold_start_seconds=90.0
)
# Mean, and mean square over the square of the mean, of Azure's conversation lengths.
ISL, OSL = (1155.0, 1.81), (211.0, 1.5)


def steady(rate_rps: float, *, hours: float, seed: int) -> Trace:
    """Return requests that arrive at random, at *rate_rps* on average all the time."""
    rng = np.random.default_rng(seed)
    count = int(rng.poisson(rate_rps * hours * 3600))

    def lengths(mean: float, ratio: float, *, longest: int) -> Ints:
        variance = np.log(ratio)
        drawn = rng.lognormal(np.log(mean) - variance / 2, np.sqrt(variance), count)
        return np.clip(np.round(drawn), 2, longest).astype(np.int64)

    arrivals = np.sort(rng.uniform(0, hours * 3600, count))
    return Trace(
        name=f"{rate_rps:g}/s, seed {seed}",
        arrival_seconds=arrivals,
        isl=lengths(*ISL, longest=14_000),
        osl=lengths(*OSL, longest=1_500),
    )


@dataclass
class Watched:
    """`decide`, with a note of each time that it moved a number."""

    decisions: Decisions
    actions: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, observation: Observation) -> Mapping[Role, int]:
        """Return what the decisions say; plans are not kept, a day has 17,280."""
        desired = self.decisions(observation)
        plan = self.decisions.plans.pop()
        moved = (d for d in plan.decisions.values() if d.desired != d.current)
        self.actions += [action(observation.at, decision) for decision in moved]
        return desired


def action(at: float, decision: Decision) -> dict[str, Any]:
    """Return a note of *decision*, made *at* so many seconds."""
    return {
        "hours": round(at / 3600, 2),
        "role": str(decision.role),
        "from": decision.current,
        "to": decision.desired,
        "reasons": [str(step.reason) for step in decision.steps],
        "needs": {k: round(v, 2) for k, v in decision.steps[0].inputs.items()},
    }


def run(rate_rps: float, *, seed: int) -> dict[str, Any]:
    """Return what a day of *rate_rps* after settling took."""
    trace = steady(rate_rps, hours=SETTLING_HOURS + DAY_HOURS, seed=seed)
    watched = Watched(Decisions(CONFIG, PROFILE))
    fleet = scenario(CONFIG, PROFILE, opening_fleet(trace, CONFIG, PROFILE))
    result = simulate(trace, replace(fleet, hands_off_seconds=120.0), policy=watched)
    settled = SETTLING_HOURS * 3600
    scored = score(result, start_seconds=settled)
    return {
        "rate_rps": rate_rps,
        "seed": seed,
        "requests": len(trace),
        "actions_before": len([at for at in result.actions if at < settled]),
        "actions": int(scored.scale_actions),
        "attainment": scored.attainment,
        "gpus": scored.gpu_hours / DAY_HOURS,
        "fleet": {str(role): r.current for role, r in result.changes[-1].fleet.items()},
        "each": [a for a in watched.actions if a["hours"] >= SETTLING_HOURS],
    }


def lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield the row of a run and, below it, the actions after settling."""
    yield (
        f"| {found['rate_rps']:g}/s | {found['seed']} | {found['actions_before']} "
        f"| {found['actions']} | {found['attainment']:.4f} | {found['gpus']:.2f} "
        f"| {found['fleet']} |"
    )
    yield from (f"    {action}" for action in found["each"])


def main() -> None:
    """Run every rate and seed, print a row each and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rates", nargs="*", type=float, default=RATES_RPS)
    parser.add_argument("--seeds", type=int, default=4)
    options = parser.parse_args()
    print("| rate | seed | actions settling | actions in a day | attainment | GPUs | fleet |")
    print("|---|---|---|---|---|---|---|")
    runs = []
    for rate in options.rates:
        for seed in range(1, options.seeds + 1):
            found = run(rate, seed=seed)
            runs.append(found)
            print("\n".join(lines(found)), flush=True)
    write(RESULTS / "steady.json", {"runs": runs})


if __name__ == "__main__":
    main()
