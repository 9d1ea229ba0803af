"""What the plugin does in the processes of a worker's engine, tried without vLLM."""

from types import ModuleType, SimpleNamespace

import pytest

from workers.vllm import progress_thread


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
