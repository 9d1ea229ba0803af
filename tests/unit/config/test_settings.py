"""Settings from files, the environment and flags: who wins, and how a bad value is told."""

import re
import tomllib
from pathlib import Path

import pytest

import planner
from planner.config import (
    Settings,
    from_deployment,
    from_environment,
    from_file,
    from_flags,
    policy,
    settle,
)
from planner.core.policy import Bounds, PolicyConfig
from planner.core.profile import Parallelism
from planner.core.role import Role
from planner.core.sla import Sla
from planner.errors import ConfigError

EXAMPLE = Path(planner.__file__).parent / "config.example.toml"
ROLES = (Role.PREFILL, Role.DECODE)


def test_the_example_equals_the_defaults():
    assert settle(from_file(EXAMPLE)).settings == Settings()


def test_the_example_shows_every_setting_and_its_comments_parse():
    text = re.sub(r"^# (?=[a-z_]+ = )", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    assert set(tomllib.loads(text)) == set(Settings.model_fields)
    shown = EXAMPLE.with_name("unused")
    values = tomllib.loads(text)
    layer = from_deployment(values, path=shown)
    assert settle(layer).settings.max_gpus == 8


def test_later_layers_win_and_origins_say_which(tmp_path):
    file = tmp_path / "p.toml"
    file.write_text('interval = "7s"\ncold_start = "2m"\ntolerance = "5%"\n')
    effective = settle(
        from_deployment({"cold_start": "30s", "profile": "p", "store": None}, path=tmp_path),
        from_file(file),
        from_environment({"PLANNER_INTERVAL": "8s", "PLANNER_TOLERANCE": "6%", "HOME": "/"}),
        from_flags({"tolerance": "7%", "min": ("decode=2", "prefill=3"), "observe": False}),
    )
    settings = effective.settings
    assert (settings.interval, settings.cold_start, settings.tolerance) == (8.0, 120.0, 0.07)
    assert (settings.profile, settings.min) == ("p", {Role.DECODE: 2, Role.PREFILL: 3})
    assert effective.origins["sla"] == "default"
    assert effective.origins["interval"] == "PLANNER_INTERVAL"
    assert effective.origins["tolerance"] == "--tolerance"
    assert effective.origins["profile"] == f"deployment {tmp_path}"
    assert ("cold_start", "2m", f"{file}: cold_start") in effective.rows


def test_written_settings_read_back():
    flags = {"sla": "ttft=200ms", "parallelism": "decode=tp2", "max": "decode=3", "interval": "9s"}
    settings = settle(from_flags(flags)).settings
    assert Settings.model_validate(settings.model_dump(mode="json")) == settings


def test_a_policy_has_bounds_for_every_role():
    settings = settle(
        from_flags({
            "sla": "ttft=200ms,itl=20ms", "min": "decode=2", "max": "decode=5,prefill=4",
            "parallelism": "decode=tp2", "stabilization": "3m", "max_gpus": "9",
        })
    ).settings  # fmt: skip
    assert policy(settings, ROLES) == PolicyConfig(
        sla=Sla(ttft_seconds=0.2, itl_seconds=0.02),
        bounds={Role.PREFILL: Bounds(maximum=4), Role.DECODE: Bounds(minimum=2, maximum=5)},
        parallelism={Role.DECODE: Parallelism(tp=2)},
        stabilization_seconds=180.0,
        max_gpus=9,
    )


def test_the_defaults_are_the_policys_own():
    settings = settle(from_flags({"sla": "ttft=1s"})).settings
    assert policy(settings, ROLES) == PolicyConfig(sla=Sla(ttft_seconds=1.0))


BAD = [
    pytest.param({"sla": "ttft=200"}, "--sla ttft=200: a duration needs a unit", id="sla"),
    pytest.param({"interval": "5"}, "--interval 5: a duration needs a unit", id="duration"),
    pytest.param({"tolerance": "7"}, "--tolerance 7: a share above 1 needs", id="share"),
    pytest.param({"min": ("decod=1",)}, "--min: unknown role 'decod'", id="role"),
    pytest.param({"min": ("1",)}, "--min 1: '1' names no role", id="no role"),
    pytest.param({"max": ("decode=-1",)}, "--max: '-1' is not a number of replicas", id="count"),
    pytest.param({"max_gpus": "0"}, "--max-gpus 0: input should be greater", id="limit"),
    pytest.param({"mode": "fast"}, "--mode fast: input should be 'sla' or 'load'", id="choice"),
    pytest.param({"parallelism": "decode=2"}, "--parallelism: '2' is not a par", id="parallelism"),
]


@pytest.mark.parametrize(("flags", "message"), BAD)
def test_a_bad_value_is_told_with_its_place(flags, message):
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        settle(from_flags(flags))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param('intervall = "5s"', "p.toml: intervall: unknown setting", id="unknown"),
        pytest.param("interval = 5", "p.toml: interval 5: a duration needs a unit", id="no unit"),
        pytest.param("interval 5", "p.toml: not TOML", id="not TOML"),
        pytest.param("observe = 3", "p.toml: observe 3: input should be a valid bool", id="type"),
        pytest.param("min = 3", "p.toml: min 3: '3' names no role", id="not a table"),
        pytest.param("\x00", "p.toml: not TOML", id="binary"),
    ],
)
def test_a_bad_file_is_told_with_its_name(tmp_path, text, message):
    file = tmp_path / "p.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        settle(from_file(file))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "message"), [("gone.toml", "No such file"), (".", "Is a directory")]
)
def test_an_unreadable_file(tmp_path, name, message):
    with pytest.raises(ConfigError, match=message):
        from_file(tmp_path / name)


def test_environment_of_others_is_left_alone_and_typos_are_not():
    assert not from_environment({"PLANNER_DIE_WITH": "12", "PLANNER_SLA": ""}).values
    with pytest.raises(ConfigError, match="PLANNER_INTERVALL: unknown setting") as caught:
        from_environment({"PLANNER_INTERVALL": "5s"})
    assert caught.value.hint == "did you mean PLANNER_INTERVAL?"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param({}, "no SLA is set", id="no sla"),
        pytest.param(
            {"sla": "ttft=1s", "min": "aggregated=1"},
            "--min aggregated=1: this deployment has no such role",
            id="role of another deployment",
        ),
        pytest.param(
            {"sla": "ttft=1s", "min": "decode=5", "max": "decode=4"},
            "maximum 4 replicas: must be at least 5",
            id="bounds cross",
        ),
        pytest.param({"sla": "ttft=1s", "max_gpus": "1"}, "max_gpus 1", id="budget below floors"),
    ],
)
def test_what_no_policy_can_be_made_of(flags, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        policy(settle(from_flags(flags)).settings, ROLES)


def test_the_schema_documents_every_setting():
    properties = Settings.model_json_schema()["properties"]
    assert set(properties) == set(Settings.model_fields)
    assert all(p["description"] for p in properties.values())
