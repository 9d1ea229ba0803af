"""The report of a profile: for terminals, for browsers, and as something to start."""

import shlex
from html.parser import HTMLParser

import pytest

from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.workload import Workload
from planner.profiles import load_profile
from profiler.choose import Choice, choose
from profiler.pareto import operations
from profiler.report import Launch, manifest, page, plot, serve_command
from profiler.report.launch import replicas

PROFILE = load_profile("qwen3-32b-h200")
LAUNCH = Launch(profile="p.json", engine="vllm", model="/models/qwen")
VOID = frozenset({"meta", "br", "hr", "img", "link", "input"})


def chosen(sla: str = "ttft=1s,itl=50ms", *, rate_rps: float = 0.0) -> Choice:
    return choose(PROFILE, Sla.parse(sla), Workload(rate_rps=rate_rps, isl=3000, osl=300))


class Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        pass

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag


def test_the_plot_fits_a_terminal_and_marks_every_parallelism() -> None:
    choice = chosen()
    context = choice.workload.context_tokens
    shown = plot(operations(PROFILE.engines, context_tokens=context), sla=choice.sla)

    assert max(map(len, shown.splitlines())) <= 100
    legend, *rows = shown.splitlines()
    for mark, name in zip("ox+*", ("tp1", "tp2", "tp4", "tp8"), strict=True):
        assert f"{mark} {name}" in legend
        assert any(mark in row for row in rows)
    assert "itl target (20/s)" in legend


def test_without_anything_that_fits_there_is_no_plot() -> None:
    assert "nothing fits" in plot((), sla=Sla.parse("ttft=1s"))


def test_the_page_stands_alone() -> None:
    choice = chosen()
    html = page(PROFILE, choice, LAUNCH)
    balance = Balance()
    balance.feed(html)

    assert balance.open == []
    assert "http" not in html.replace("http://www.w3.org/2000/svg", "")
    assert html.count("<svg") == 1 + 3 * len(PROFILE.engines)
    assert "estimated, not measured" in html
    assert choice.best is not None
    assert "planner serve" in html
    assert "kind: Deployment" in html


def test_an_infeasible_sla_is_said_with_the_nearest_that_is_not() -> None:
    choice = chosen("ttft=10ms,itl=1ms")
    html = page(PROFILE, choice, LAUNCH)

    assert choice.best is None
    assert "Infeasible" in html
    assert "Nearest that can be met" in html
    assert "planner serve" not in html


def test_the_command_starts_the_fewest_replicas_in_the_ratio_chosen() -> None:
    choice = chosen()
    topology = next(t for t in choice.topologies if t.prefill_per_decode is not None)
    few = replicas(topology, whole=False)
    whole = replicas(topology, whole=True)

    assert sum(few.values()) <= sum(whole.values())
    ratio = whole[Role.PREFILL] / whole[Role.DECODE]
    assert few[Role.PREFILL] / few[Role.DECODE] == pytest.approx(ratio, rel=0.25)
    words = shlex.split(serve_command(topology, choice, LAUNCH))
    assert words[:2] == ["planner", "serve"]
    assert f"--prefill={few[Role.PREFILL]}" in words
    assert "--engine=vllm" in words
    assert any(word.startswith("--parallelism=prefill=tp") for word in words)


def test_the_manifest_has_a_deployment_for_each_role() -> None:
    choice = chosen(rate_rps=5.0)
    topology = next(t for t in choice.topologies if t.prefill_per_decode is not None)
    text = manifest(topology, LAUNCH, name="Qwen3 32B/h200")
    parts = text.split("---\n")

    assert len(parts) == 2
    for part, (role, sizing) in zip(parts, topology.sizing.roles.items(), strict=True):
        assert f"name: qwen3-32b-h200-{role}\n" in part
        assert f"replicas: {sizing.replicas}\n" in part
        assert f"nvidia.com/gpu: {sizing.parallelism.gpus}\n" in part
        assert f'"--role={role}"' in part
