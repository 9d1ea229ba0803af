"""What the what-if exports is read back as what was simulated."""

import shlex
from pathlib import Path

import pytest

from dashboards.summaries.what_if import Setting
from planner.config import from_file, from_flags, policy, settle
from planner.core.policy import DISAGGREGATED

SETTINGS = [
    Setting(ttft_ms=500, itl_ms=50, attainment=0.99, cold_start_seconds=60, max_gpus=0,
            headroom=1.0),
    Setting(ttft_ms=0, itl_ms=12.5, attainment=0.995, cold_start_seconds=0, max_gpus=8,
            headroom=1.25),
    Setting(ttft_ms=50, itl_ms=0, attainment=0.5, cold_start_seconds=610, max_gpus=128,
            headroom=0.55),
]  # fmt: skip


@pytest.mark.parametrize("setting", SETTINGS)
def test_as_a_file(setting: Setting, tmp_path: Path) -> None:
    path = tmp_path / "planner.toml"
    path.write_text(setting.toml("qwen3-32b-h200"))
    settings = settle(from_file(path)).settings
    assert policy(settings, DISAGGREGATED) == setting.policy
    assert settings.profile == "qwen3-32b-h200"
    assert settings.observe


@pytest.mark.parametrize("setting", SETTINGS)
def test_as_flags(setting: Setting) -> None:
    program, command, observe, *words = shlex.split(setting.flags("qwen3-32b-h200"))
    assert (program, command, observe) == ("planner", "run", "--observe")
    flags = {
        name.removeprefix("--").replace("-", "_"): value
        for name, value in zip(words[::2], words[1::2], strict=True)
    }
    assert policy(settle(from_flags(flags)).settings, DISAGGREGATED) == setting.policy
