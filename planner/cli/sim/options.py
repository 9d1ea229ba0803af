"""The flags of `planner simulate` that say who scales what, and what comes out of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from planner.cli.control.options import settings_options

_Command = TypeVar("_Command", bound=Callable[..., Any])
ELSEWHERE = (
    "observe", "connector", "state_dir", "namespace", "store", "model", "journal", "metrics_port",
    "metrics_timeout", "max_age",
)  # fmt: skip
"""Settings that mean nothing here."""
POLICIES = (
    "planner", "static", "dynamo-loops", "dynamo-throughput", "hpa", "kpa", "wva",
)  # fmt: skip
"""What --help names without importing peers; a test compares."""
_REPLICAS = click.IntRange(1)
_FLEET = (
    click.option("--prefill", type=_REPLICAS, metavar="N", help="Prefill replicas at first."),
    click.option("--decode", type=_REPLICAS, metavar="N", help="Decode replicas at first."),
    click.option("--aggregated", type=_REPLICAS, metavar="N", help="Aggregated ones instead."),
    click.option("--max-local-prefill-length", type=click.IntRange(0), default=0, metavar="N",
                 help="Decode replicas prefill prompts up to N tokens themselves.  [default: 0]"),
    click.option("--max-prefill-queue-size", type=click.IntRange(0), metavar="N",
                 help="With more prompts queued they do it, too; unlimited when left out."),
    click.option("--hands-off", metavar="DURATION",
                 help="Policies watch, but are not obeyed before this moment.  [default: 0s]"),
)  # fmt: skip
_POLICIES = (
    click.option("--policy", metavar="NAME",
                 help=f"Who scales: {', '.join(POLICIES[:-1])} or {POLICIES[-1]}.  "
                 "[default: planner]"),
    click.option("--static", is_flag=True,
                 help="Never scale (--policy static); without numbers: the best fixed fleet."),
    click.option("--compare", metavar="A,B,...", help="Several policies on the same load."),
    click.option("--oracle", is_flag=True,
                 help="Also the least that perfect foresight would need, which takes longer."),
)  # fmt: skip
_RESULT = (
    click.option("--score-from", metavar="DURATION",
                 help="Score what arrives from here on.  [default: 5m; 0s if under 10m long]"),
    click.option("--report", type=click.Path(path_type=Path), metavar="FILE",
                 help="Also write a page with charts that stands alone: out.html."),
)  # fmt: skip


def simulation_options(command: _Command) -> _Command:
    """Add to *command* every flag but those of the trace and of the output."""
    command = settings_options(without=ELSEWHERE)(command)
    for flag in reversed((*_FLEET, *_POLICIES, *_RESULT)):
        command = flag(command)
    return command
