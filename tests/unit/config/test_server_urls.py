"""The setting that names servers, as a flag and as a table."""

import re

import pytest

from planner.config import Settings, from_file, from_flags, settle
from planner.core.role import Role
from planner.errors import ConfigError
from planner.sources.engines.names import EngineKind

A, B, C = "http://h1:8000", "https://h2", "http://[::1]:8000/prometheus/metrics"


@pytest.mark.parametrize(
    ("flags", "urls"),
    [
        ((f"aggregated={A}",), {Role.AGGREGATED: (A,)}),
        ((f"aggregated={A}, {B}/",), {Role.AGGREGATED: (A, B)}),
        ((f"prefill={A},decode={B},{C}",), {Role.PREFILL: (A,), Role.DECODE: (B, C)}),
        ((f"decode={A}", f"prefill={B}", f"decode={C}"), {Role.DECODE: (A, C), Role.PREFILL: (B,)}),
    ],
)
def test_flags(flags, urls):
    settings = settle(from_flags({"servers": flags, "engine": "vllm"})).settings
    assert settings.servers == urls
    assert settings.engine is EngineKind.VLLM
    assert Settings.model_validate(settings.model_dump(mode="json")) == settings


def test_a_table(tmp_path):
    file = tmp_path / "p.toml"
    file.write_text(f'servers = {{ prefill = ["{A}"], decode = ["{B}", "{C}"] }}\n')
    assert settle(from_file(file)).settings.servers == {Role.PREFILL: (A,), Role.DECODE: (B, C)}


BAD = [
    pytest.param(A, f"--servers {A}: '{A}' names no role", id="no role"),
    pytest.param(f"agregated={A}", "--servers: unknown role 'agregated'", id="role"),
    pytest.param("aggregated=h1:8000", "'h1:8000' is not a URL of a server", id="no scheme"),
    pytest.param("aggregated=http://", "'http:' is not a URL of a server", id="no host"),
    pytest.param("aggregated=", "'' is not a URL of a server", id="nothing"),
    pytest.param("aggregated=ftp://h1", "'ftp://h1' is not a URL of a server", id="scheme"),
    pytest.param("aggregated=http://h1/?x=1", "is not a URL of a server", id="query"),
    pytest.param("aggregated=http://h 1", "is not a URL of a server", id="space"),
    pytest.param("aggregated=http://h1:99999", "http://h1:99999: Port out of range", id="port"),
    pytest.param("aggregated=http://h1:0", "http://h1:0: no server has port 0", id="port 0"),
    pytest.param("aggregated=http://[::1", "http://[::1: Invalid IPv6 URL", id="brackets"),
    pytest.param(f"prefill={A},decode={A}", f"{A} is named twice", id="twice"),
    pytest.param(
        f"aggregated={A},decode={B}", "aggregated and decode servers do not make one", id="mixed"
    ),
]


@pytest.mark.parametrize(("flag", "message"), BAD)
def test_a_bad_value_is_told_in_one_line(flag, message):
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        settle(from_flags({"servers": (flag,)}))
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_a_table_of_something_else(tmp_path):
    file = tmp_path / "p.toml"
    file.write_text(f'servers = {{ prefill = "{A}" }}\n')
    with pytest.raises(ConfigError, match=re.escape(f"servers.prefill {A}: not a list of URLs")):
        settle(from_file(file))


def test_an_unknown_engine():
    with pytest.raises(ConfigError, match="--engine tgi: input should be 'vllm', 'sglang' or"):
        settle(from_flags({"engine": "tgi"}))
