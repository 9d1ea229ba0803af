"""What the plugin does in the processes of a worker's engine, tried without vLLM."""

import os
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

import workers.vllm
from workers.vllm import loading, parent, progress_thread


@pytest.mark.parametrize("worker", [None, os.getpid()], ids=["another's", "the worker itself"])
def test_only_processes_of_an_engine_are_touched(monkeypatch, worker):
    monkeypatch.delenv(parent.VARIABLE, raising=False)
    if worker is not None:
        monkeypatch.setenv(parent.VARIABLE, str(worker))
    found = []
    monkeypatch.setattr(parent.atexit, "register", lambda *what: found.append(what))
    parent.end_with_worker()
    assert found == []


ENGINE = """
import os, sys
from workers.vllm import parent
os.environ[parent.VARIABLE] = str(os.getppid())
parent.end_with_worker()
print("told", end="")
class Slow:
    def __del__(self):
        print("looked at")
slow = Slow()
slow.itself = slow
"""


def test_a_process_of_an_engine_ends_without_looking_at_what_is_left():
    ended = subprocess.run([sys.executable, "-c", ENGINE], capture_output=True, text=True)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("told", "", 1)


def test_what_is_loaded_is_left_out_of_later_collections(monkeypatch):
    vllm, done = ModuleType("workers.vllm.llm"), []
    vllm.make = lambda flags, record: done.append("made") or "engine"
    monkeypatch.setitem(sys.modules, vllm.__name__, vllm)
    monkeypatch.setattr(workers.vllm, "llm", vllm, raising=False)
    monkeypatch.setattr(loading.gc, "collect", lambda: done.append("collected"))
    monkeypatch.setattr(loading.gc, "freeze", lambda: done.append("frozen"))
    totals = SimpleNamespace(record=None)
    made = loading.VllmLoading([], totals, imported=lambda: done.append("imported"))
    assert made.load() == "engine"
    assert done == ["imported", "made", "collected", "frozen"]


@pytest.fixture
def nixl(monkeypatch):
    """Put a NIXL in the place of the one that vLLM would load; agents are their settings."""
    api = ModuleType("a_nixl_api")
    api.nixlBind = SimpleNamespace(nixlAgent=lambda name, config: (name, config))
    wrapper = type("nixl_agent", (), {"__module__": api.__name__})
    utils = ModuleType("vllm.distributed.nixl_utils")
    utils.NixlWrapper = wrapper
    for module in (ModuleType("vllm"), ModuleType("vllm.distributed"), utils, api):
        monkeypatch.setitem(progress_thread.sys.modules, module.__name__, module)
    return api


def agent_of(api):
    return api.nixlBind.nixlAgent("a", SimpleNamespace(pthrDelay=0))


def test_agents_rest_between_events(monkeypatch, nixl):
    monkeypatch.setenv(progress_thread.VARIABLE, "5")
    progress_thread.rest_between_events()
    assert agent_of(nixl) == ("a", SimpleNamespace(pthrDelay=5000))


def test_agents_are_as_nixl_makes_them_where_nothing_is_set(monkeypatch, nixl):
    monkeypatch.delenv(progress_thread.VARIABLE, raising=False)
    progress_thread.rest_between_events()
    assert agent_of(nixl) == ("a", SimpleNamespace(pthrDelay=0))


def test_another_nixl_is_told_of(monkeypatch, nixl, caplog):
    del nixl.nixlBind
    monkeypatch.setenv(progress_thread.VARIABLE, "5")
    progress_thread.rest_between_events()
    assert "does not rest" in caplog.text
