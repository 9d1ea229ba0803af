"""Writes those parts of the documents that follow from the code: python docs/generate.py

A part stands between `<!-- generated: NAME -->` and `<!-- end -->`; a test compares each with what
this program would write.
"""

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import click
from prometheus_client import CollectorRegistry, Metric

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))

import worked_example  # noqa: E402 - a file beside this one

import planner  # noqa: E402
from planner.cli import exits, meanings  # noqa: E402
from planner.cli.main import program  # noqa: E402
from planner.config import Settings  # noqa: E402
from planner.metrics import LoopMetrics  # noqa: E402
from runtime.frontend.metrics import FrontendMetrics  # noqa: E402
from runtime.frontend.sla import Targets  # noqa: E402
from workers.engine import EngineStats, StepTotals, TransferTotals  # noqa: E402
from workers.metrics import WorkerMetrics  # noqa: E402

_EVERYWHERE = {"--verbose", "--quiet", "--help"}
_PART = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def settings() -> str:
    """Return the table of all settings."""
    values = Settings().model_dump(mode="json")
    rows = [
        (f"`{name}`", f"`{values[name]}`" if values[name] else "", str(field.description))
        for name, field in Settings.model_fields.items()
    ]
    return table(("setting", "default", "what it is"), rows)


def exit_codes() -> str:
    """Return the table of exit codes."""
    return table(
        ("code", "when"), [(str(code.value), told) for code, told in exits.MEANINGS.items()]
    )


def commands() -> str:
    """Return a section for each command, with its flags."""
    root = click.Context(program, info_name="planner")
    return "".join(_command(root, name) for name in program.list_commands(root))


def _command(parent: click.Context, name: str) -> str:
    assert isinstance(parent.command, click.Group)
    command = parent.command.get_command(parent, name)
    assert command is not None
    context = click.Context(command, info_name=name, parent=parent)
    if isinstance(command, click.Group):
        return "".join(_command(context, one) for one in command.list_commands(context))
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    told = f"### {context.command_path}\n{command.get_short_help_str(200)}\n```\n{usage}\n```\n"
    flags = [one for one in command.get_params(context) if isinstance(one, click.Option)]
    settable = {one.name for one in flags} & Settings.model_fields.keys()
    elsewhere = settable if len(settable) > len(Settings.model_fields) / 2 else set()
    own = [one for one in flags if one.name not in elsewhere and not _EVERYWHERE & {*one.opts}]
    rows = [(f"`{'`, `'.join(one.opts)}`", _cell(one.get_help_record(context))) for one in own]
    also = "And a flag for each [setting](#settings).\n" if elsewhere else ""
    return f"{told}{table(('flag', 'what it is'), rows) if rows else ''}{also}\n"


def _cell(record: tuple[str, str] | None) -> str:
    return "" if record is None else record[1].replace("|", "\\|")


def reasons() -> str:
    """Return a section for each reason of a decision."""
    return "".join(
        f"### {reason}\n{one.means}\n\n- **Look at** {one.look}\n- **Do** {one.do}\n\n"
        for reason, one in meanings.MEANINGS.items()
    )


def python_names() -> str:
    """Return the table of the library's names, with how each function is called."""
    rows = [(f"`{_signature(name)}`", _first_sentence(name)) for name in planner.__all__]
    return table(("name", "what it is"), rows)


def _signature(name: str) -> str:
    found = getattr(planner, name)
    if not inspect.isfunction(found):
        return name
    given = inspect.signature(found).parameters.values()
    told = [f"{one.name}=..." if one.default is not one.empty else one.name for one in given]
    named = [place for place, one in enumerate(given) if one.kind is one.KEYWORD_ONLY]
    if named:
        told.insert(named[0], "*")
    return f"{name}({', '.join(told)})"


def _first_sentence(name: str) -> str:
    text = " ".join((inspect.getdoc(getattr(planner, name)) or "").partition("\n\n")[0].split())
    return text.partition(". ")[0].rstrip(".").replace("|", "\\|")


def frontend_metrics() -> str:
    """Return the table of what a frontend tells."""
    metrics = FrontendMetrics(Targets(), namespace="")
    metrics.of("m")
    return _metrics(metrics.registry)


def worker_metrics() -> str:
    """Return the table of what a worker tells."""
    metrics = WorkerMetrics(model="", namespace="", component="", instance="")
    metrics.set_start("ready", 1.0)
    metrics.read(stats=_some_stats, in_flight=lambda: 0, queue_depth=lambda: 0)
    return _metrics(metrics.registry)


def planner_metrics() -> str:
    """Return the table of what the planner tells about itself."""
    return _metrics(LoopMetrics(CollectorRegistry()).registry)


def _some_stats() -> EngineStats:
    steps = StepTotals(**dict.fromkeys(StepTotals.__dataclass_fields__, 0))
    transfers = TransferTotals(**dict.fromkeys(TransferTotals.__dataclass_fields__, 0))
    figures = dict.fromkeys(EngineStats.__dataclass_fields__, 0)
    return EngineStats(**figures | {"steps": steps, "transfers": transfers})


def _metrics(registry: CollectorRegistry) -> str:
    found = sorted(registry.collect(), key=lambda metric: metric.name)
    rows = [(f"`{_name(one)}`", one.type, one.documentation.rstrip(".")) for one in found]
    return table(("name", "type", "what it is"), rows)


def _name(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [columns, ("---",) * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


PARTS: Mapping[str, Callable[[], str]] = {
    "exit-codes": exit_codes,
    "commands": commands,
    "reasons": reasons,
    "settings": settings,
    "python-names": python_names,
    "frontend-metrics": frontend_metrics,
    "worker-metrics": worker_metrics,
    "planner-metrics": planner_metrics,
    "growing-prefill": lambda: table(worked_example.COLUMNS, worked_example.prefill()),
    "growing-decode": lambda: table(worked_example.COLUMNS, worked_example.decode()),
    "shrinking": worked_example.shrinking,
    "bursts": worked_example.bursts,
}


PICTURES: Mapping[str, Callable[[], str]] = {"concepts/decision.svg": worked_example.picture}


def current(text: str) -> str:
    """Return *text* with its generated parts as the code has them at this moment."""
    return _PART.sub(lambda part: f"{part[1]}{PARTS[part[2]]()}{part[3]}", text)


def main() -> None:
    """Bring every document up to date."""
    for path in sorted(DOCS.rglob("*.md")):
        text = path.read_text()
        if (new := current(text)) != text:
            path.write_text(new)
    for name, draw in PICTURES.items():
        (DOCS / name).write_text(draw())


if __name__ == "__main__":
    main()
