"""Simulated requests a second on one core, the compile time of the first call, and memory.

    python benchmarks/simulator.py [TRACE] [--amplify 40] [--cold]

Prints a Markdown table and writes results/simulator.json, or what --json says. The policy asks for
the fleet that is there, so what it costs is only what it sees. Times are CPU seconds of the
process, which other processes disturb less than the clock on the wall. --cold compiles anew first.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from results_file import RESULTS, write

from planner.core.observation import Observation
from planner.core.role import Role
from planner.core.sla import Sla
from planner.profiles import load_profile
from planner.sim.machine.compiled import IS_COMPILED
from planner.sim.run import Policy, Scenario, simulate
from planner.traces import Trace, amplify, head, open_trace

PROFILE = load_profile("llama-3.1-8b-fp8-h200")
SLA = Sla.parse("ttft=500ms,itl=50ms")
# Requests a second that one replica of each role keeps up with.
RPS_PER_REPLICA = {Role.PREFILL: 15.0, Role.DECODE: 18.0}


def fleet_for(trace: Trace) -> Scenario:
    """Return a fleet that keeps up with *trace*."""
    rate = trace.requests_per_second or 1.0
    return Scenario(
        sla=SLA,
        models={role: PROFILE.engine() for role in RPS_PER_REPLICA},
        initial={role: 1 + round(rate / each) for role, each in RPS_PER_REPLICA.items()},
        cold_start_seconds=90.0,
    )


def stay(fleet: Mapping[Role, int]) -> Policy:
    """Return a policy that asks for *fleet* whatever it sees."""

    def policy(_: Observation) -> Mapping[Role, int]:
        return fleet

    return policy


def seconds_of(work: Callable[[], object]) -> float:
    """Return the CPU seconds that *work* takes."""
    began = time.process_time()
    work()
    return time.process_time() - began


def first_call_seconds() -> float:
    """Return the CPU seconds of a process that simulates for the first time on a machine."""
    program = (
        "from simulator import *\n"
        "trace = head(open_trace('bundled:azure-conv'), 10.0)\n"
        "print(seconds_of(lambda: simulate(trace, fleet_for(trace))))"
    )
    with tempfile.TemporaryDirectory() as cache:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "NUMBA_CACHE_DIR": cache},
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    return float(done.stdout)


def peak_megabytes() -> float:
    """Return the most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(trace: Trace, repeat: int) -> dict[str, object]:
    """Return what simulating *trace* comes to, the best of *repeat* times."""
    scenario = fleet_for(trace)
    simulate(head(trace, 10.0), scenario)
    before = peak_megabytes()
    static = min(seconds_of(lambda: simulate(trace, scenario)) for _ in range(repeat))
    policy = stay(scenario.initial)
    asked = min(seconds_of(lambda: simulate(trace, scenario, policy=policy)) for _ in range(repeat))
    return {
        "trace": Path(trace.name).stem,
        "requests": len(trace),
        "replicas": {role.value: count for role, count in scenario.initial.items()},
        "compiled": IS_COMPILED,
        "static_requests_per_second": round(len(trace) / static),
        "policy_requests_per_second": round(len(trace) / asked),
        "peak_megabytes_before": round(before),
        "peak_megabytes": round(peak_megabytes()),
    }


def parsed() -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("trace", nargs="?", default="bundled:azure-conv")
    parser.add_argument("--amplify", type=int, default=40, metavar="N")
    parser.add_argument("--repeat", type=int, default=3, metavar="N")
    parser.add_argument("--cold", action="store_true", help="measure the first call too")
    parser.add_argument("--json", type=Path, default=RESULTS / "simulator.json", metavar="PATH")
    return parser.parse_args()


def main() -> None:
    """Measure, print and write."""
    given = parsed()
    recorded = open_trace(given.trace)
    trace = amplify(recorded, given.amplify, rng=np.random.default_rng(1))
    del recorded
    found = measure(trace, given.repeat)
    if given.cold:
        found["first_call_cpu_seconds"] = round(first_call_seconds(), 1)
    print("| trace | requests | static, req/s | with a policy, req/s | peak memory | first call |")
    print("|---|---|---|---|---|---|")
    first = f"{found['first_call_cpu_seconds']} s" if given.cold else "-"
    print(
        f"| {found['trace']} | {found['requests']:,} | {found['static_requests_per_second']:,} "
        f"| {found['policy_requests_per_second']:,} | {found['peak_megabytes']} MB | {first} |"
    )
    write(given.json, {"simulator": found})


if __name__ == "__main__":
    main()
