"""``python -m runtime.service``: what it accepts and what it says."""

import sys

import pytest

from runtime.service.__main__ import parse

SOURCE = """
from runtime.service import endpoint, service

@service
class Good:
    @endpoint
    async def ask(self, name: str) -> str:
        return name

@service
class Unresolved:
    @endpoint
    async def ask(self, name: "Missing") -> str:
        return name

class Plain:
    pass

function = print
"""
URLS = ["--store", "memory:", "--plane", "memory:"]


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "offered.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("offered", None)


def test_services_are_loaded_by_name():
    options = parse(["offered:Good", *URLS, "--namespace", "hello"])
    assert [cls.__name__ for cls in options.services] == ["Good"]
    assert (options.store, options.plane, options.namespace) == ("memory:", "memory:", "hello")
    assert options.drain_timeout == 30.0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["offered:Good"], "--store", id="no store"),
        pytest.param(["nosuch:Good", *URLS], "nosuch", id="no module"),
        pytest.param(["offered:Bad", *URLS], "Bad", id="no class"),
        pytest.param(["offered", *URLS], "offered", id="no class named"),
        pytest.param(["offered:Plain", *URLS], "@service", id="no service"),
        pytest.param(["offered:function", *URLS], "service", id="no class at all"),
        pytest.param(["offered:Unresolved", *URLS], "Missing", id="unknown annotation"),
    ],
)
def test_what_cannot_be_served_is_a_usage_error(capsys, arguments, says):
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit) as ended:
        parse(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert all(option in text for option in ("--store", "--plane", "--namespace", "--host"))
