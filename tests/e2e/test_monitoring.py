"""A real Prometheus on a running deployment: every rule and every panel has figures."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any

import pytest
import yaml
from monitoring import PROMETHEUS, RULES, dashboards, expressions, recorded, rules
from prometheus import MISSING, Prometheus, find_prometheus, running_prometheus

from runtime.servers import free_port

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(find_prometheus() is None, reason=MISSING),
]

_SECONDS = 90.0
_EVERY = "1s"
_RATE, _LONG, _SHORT = 5, 600, 50
# What a disaggregated deployment of simulated engines that acts does not have.
_NOT_HERE = (
    'role="aggregated"',
    'component="aggregated"',
    'planner_acts{namespace=~".*"} == 0',
)
# The profile has no price of a GPU, so this is not a number.
_UNPRICED = "planner_cost_per_hour"
# Whether there is any depends on the moment.
_PERHAPS = "annotation "


async def test_rules_and_panels_have_figures_and_no_alert_is_near(machine, tmp_path: Path) -> None:
    port = free_port()
    machine.environment["PLANNER_MIN"] = "decode=2"
    flags = ("--planner", "apply", "--interval", "1s", "--max-gpus", "8")
    trace = [
        {"timestamp": round(1e3 * at / _RATE), "input_length": _LONG if at % 2 else _SHORT,
         "output_length": 40}
        for at in range(round(_SECONDS * _RATE))
    ]  # fmt: skip
    async with (
        machine.serving("--metrics-port", str(port), *flags),
        machine.loaded(trace, tmp_path / "load"),
        running_prometheus(tmp_path / "prometheus", _config(port, tmp_path)) as prometheus,
    ):
        # One decode replica more than it began with: found without being told.
        await prometheus.until('count(up{component="decode"} == 1) == 2')
        for component in ("planner", "frontend", "prefill"):
            await prometheus.until(f'up{{component="{component}",namespace="planner"}} == 1')
        await _all_have_figures(prometheus, {name: name for name in recorded()})
        asked = _asked()
        here = {whose: one for whose, one in asked.items() if not _is_away(one)}
        assert len(asked) > len(here) > 0.7 * len(asked)
        await _all_have_figures(prometheus, here)
        for whose in asked.keys() - here.keys():
            assert await prometheus.query(asked[whose]) == [], whose
        near = await prometheus.query('ALERTS{alertname!~"PlannerErrorBudgetBurn.*"}')
        assert near == []
        loaded = await _loaded(prometheus)
        assert len(loaded) == len(list(rules("alert"))) + len(recorded())
        assert [rule for rule in loaded if rule["health"] != "ok"] == []


def _config(port: int, folder: Path) -> Mapping[str, Any]:
    """Return the configuration that ships, on *port* and with less patience."""
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    config["global"] = dict.fromkeys(("scrape_interval", "evaluation_interval"), _EVERY)
    config["rule_files"] = [str(_hurried(file, folder)) for file in RULES]
    (job,) = config["scrape_configs"]
    (discovery,) = job["http_sd_configs"]
    assert discovery["url"] == "http://127.0.0.1:9400/targets"
    discovery.update(url=f"http://127.0.0.1:{port}/targets", refresh_interval=_EVERY)
    return config


def _hurried(file: Path, folder: Path) -> Path:
    told = yaml.safe_load(file.read_text())
    for group in told["groups"]:
        group.pop("interval", None)
    written = folder / f"{file.stem}.json"
    written.write_text(json.dumps(told))
    return written


def _asked() -> Mapping[str, str]:
    return {
        f"{name}: {whose}": expression
        for name, dashboard in dashboards().items()
        for whose, expression in expressions(dashboard)
        if not whose.startswith(_PERHAPS)
    }


def _is_away(expression: str) -> bool:
    return any(part in expression for part in _NOT_HERE)


async def _all_have_figures(prometheus: Prometheus, asked: Mapping[str, str]) -> None:
    """Wait until all that is *asked* comes to numbers."""
    missing = dict(asked)
    try:
        async with asyncio.timeout(_SECONDS / 2):
            while missing:
                for whose, expression in list(missing.items()):
                    found = await prometheus.query(expression)
                    if any(_UNPRICED in expression or not isnan(one.value) for one in found):
                        del missing[whose]
                await asyncio.sleep(0.5)
    except TimeoutError:
        pytest.fail(f"no figures: {missing}")


async def _loaded(prometheus: Prometheus) -> Sequence[Mapping[str, Any]]:
    groups = (await prometheus.get("rules"))["groups"]
    return [rule for group in groups for rule in group["rules"]]
