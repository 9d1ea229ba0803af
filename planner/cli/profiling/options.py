"""The flags of `planner profile`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])
_PATH = click.Path(path_type=Path)

_WHAT = (
    click.option("--model", type=_PATH, metavar="DIR", help="Folder of the model to measure."),
    click.option("--engine", type=click.Choice(["simulated", "vllm"]), default="simulated",
                 show_default=True),
    click.option("--profile", "truth", default="llama-3.1-8b-fp8-h200", show_default=True,
                 metavar="TRUTH", help="How fast simulated engines are: what is to be found."),
    click.option("--noise", default="0%", show_default=True, metavar="SHARE",
                 help="By which the steps of simulated engines vary."),
    click.option("--parallelism", metavar="tp1,tp2",
                 help="Only these; all that fit when left out."),
    click.option("--gpu", metavar="NAME", help="Such as h200; this machine's when left out."),
    click.option("--gpu-memory", metavar="SIZE", help="Of one GPU, such as 80GB."),
    click.option("--max-gpus", "--gpus", type=click.IntRange(1), metavar="N",
                 help="GPUs that one engine may take; all that there are when left out."),
)  # fmt: skip
_FOR = (
    click.option("--sla", default="ttft=200ms,itl=20ms", show_default=True,
                 help="What the best configuration must keep; points are chosen for it, too."),
    click.option("--isl", type=float, default=1000, show_default=True,
                 help="Mean prompt length of the load to choose for."),
    click.option("--osl", type=float, default=200, show_default=True,
                 help="Mean output length of the load to choose for."),
    click.option("--isl-p99", type=float, metavar="FLOAT",
                 help="Prompt length that 99 % of it stay below; all are as long as the mean"
                 " unless told."),
    click.option("--rate", metavar="RATE",
                 help="Its requests, such as 20/s; enough for a large fleet when left out."),
)  # fmt: skip
_HOW_MUCH = (
    click.option("--budget", metavar="DURATION", help="Begin nothing new after this time."),
    click.option("--max-points", type=click.IntRange(1), metavar="N",
                 help="Over all parallelisms."),
    click.option("--dry-run", is_flag=True, help="Print what would be measured, and stop."),
    click.option("--fresh", is_flag=True, help="Measure again what earlier runs measured."),
    click.option("--retry-failed", is_flag=True, help="Measure again what failed in earlier runs."),
    click.option("--points", "points_folder", type=_PATH, metavar="DIR",
                 help="Folder that keeps the points; in the state folder when left out."),
    click.option("--load-generator", type=click.Choice(["builtin", "aiperf"]), default="builtin",
                 show_default=True),
    click.option("--aiperf", type=_PATH, metavar="PROGRAM",
                 help="Where aiperf is; on the PATH when left out."),
)  # fmt: skip
_RESULT = (
    click.option("--name", metavar="NAME", help="Of the profile.  [default: MODEL-GPU]"),
    click.option("--out", type=_PATH, metavar="FILE",
                 help="The profile.  [default: NAME.json]"),
    click.option("--report", type=_PATH, metavar="FILE",
                 help="Also write a page with charts that stands alone: out.html."),
    click.option("--export-npz", type=_PATH, metavar="DIR",
                 help="Also write Dynamo's layout, a raw_data.npz for each phase."),
)  # fmt: skip
_INSTEAD = (
    click.option("--estimate", is_flag=True,
                 help="Without GPUs: estimates by aiconfigurator-core, marked as such."),
    click.option("--system", metavar="NAME", help="For --estimate: h200_sxm."),
    click.option("--from-journal", type=_PATH, metavar="FILE",
                 help="Fit a profile again, from what production measured."),
    click.option("--refit", metavar="PROFILE",
                 help="The profile for --from-journal; the planner's own when left out."),
    click.option("--import", "imported", type=_PATH, multiple=True, metavar="PATH",
                 help="Points from elsewhere: Dynamo's npz folder, or a sweep of aiperf."),
    click.option("--kv-tokens", type=click.IntRange(1), metavar="N",
                 help="Tokens that the KV cache of an imported engine holds."),
)  # fmt: skip


def profile_options(command: _Command) -> _Command:
    """Add every flag of `planner profile` but that of the output to *command*."""
    for flag in reversed((*_WHAT, *_FOR, *_HOW_MUCH, *_RESULT, *_INSTEAD)):
        command = flag(command)
    return command
