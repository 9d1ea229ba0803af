"""The simulator's functions give the same results as plain Python."""

import importlib
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest

from planner.sim.machine import compiled
from planner.sim.machine.compiled import IS_COMPILED

PROGRAM = """
import hashlib, numpy as np
from planner.core.role import Role
from planner.core.sla import Sla
from planner.profiles import load_profile
from planner.sim.machine.compiled import IS_COMPILED
from planner.sim.run import Scenario, simulate
from planner.sim.scenario import Router
from planner.traces import Trace, amplify, open_trace

model = load_profile("llama-3.1-8b-fp8-h200").engine()
P, D = Role.PREFILL, Role.DECODE
trace = amplify(open_trace("bundled:azure-conv"), 4, rng=np.random.default_rng(0))
ids = tuple(tuple(range(i % 7, i % 7 + n // 512)) for i, n in enumerate(trace.isl))
trace = Trace(name="t", arrival_seconds=trace.arrival_seconds, isl=trace.isl, osl=trace.osl,
    hash_ids=ids)
scenario = Scenario(
    sla=Sla(ttft_seconds=0.2), models={P: model, D: model}, initial={P: 2, D: 3},
    router=Router.KV, prefix_cache=True, kv_growth=True, noise=0.1, failures={D: (50.0,)},
)
seen = []
def policy(observation):
    seen.append(repr(observation))
    return {P: 2 + len(seen) % 3, D: 20 if len(seen) > 10 else 3}
result = simulate(trace, scenario, policy=policy)
text = "\\n".join([*seen, repr(result.changes), result.finish_seconds.tobytes().hex()])
print(IS_COMPILED, hashlib.sha256(text.encode()).hexdigest())
"""


def outcome(**environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.skipif(not IS_COMPILED, reason="numba is not installed")
def test_plain_python_sees_and_does_the_same_to_the_last_bit():
    compiled, plain = outcome(), outcome(NUMBA_DISABLE_JIT="1")
    assert (compiled[0], plain[0]) == ("True", "False")
    assert compiled[1] == plain[1]


@pytest.mark.skipif(not IS_COMPILED, reason="numba is not installed")
def test_a_machine_that_has_compiled_nothing_yet_is_known(monkeypatch, tmp_path):
    @dataclass
    class Stats:
        cache_path: str

    @dataclass
    class Kept:
        stats: Stats
        __name__ = "turn"

    kept = Kept(Stats(str(tmp_path / "__pycache__")))
    monkeypatch.setattr(compiled, "_KEPT", [kept])
    assert compiled.compiles_first()
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "turn._one_way_in.locals.turn-104.py311.nbi").touch()
    assert not compiled.compiles_first()


@pytest.mark.skipif(not IS_COMPILED, reason="numba is not installed")
def test_what_was_compiled_is_found_where_it_is_kept():
    outcome()
    # What is on disk is told by those who would use it.
    importlib.import_module("planner.sim.machine.turn")
    assert compiled._KEPT
    assert not compiled.compiles_first()
