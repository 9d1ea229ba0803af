"""`planner serve`: a whole deployment on this machine, from one command."""

import asyncio
from pathlib import Path
from typing import Any

import click


@click.command
@click.option("--model", type=click.Path(path_type=Path), help="Folder of the model to serve.")
@click.option("--engine", type=click.Choice(["simulated"]), default="simulated", show_default=True)
@click.option(
    "--profile",
    default="llama-3.1-8b-fp8-h200",
    show_default=True,
    help="How fast the engines are: a bundled profile, or a file.",
)
@click.option("--prefill", type=click.IntRange(0), help="Prefill replicas.  [default: 1]")
@click.option("--decode", type=click.IntRange(1), help="Decode replicas.  [default: 1]")
@click.option("--aggregated", type=click.IntRange(1), help="Replicas that do both, instead.")
@click.option(
    "--planner",
    type=click.Choice(["observe", "apply", "off"]),
    default="observe",
    show_default=True,
    help="Whether the planner in it only records, also scales, or is left out.",
)
@click.option("--sla", default="ttft=200ms,itl=20ms", show_default=True, help="Targets to keep.")
@click.option("--http-port", type=click.IntRange(0, 65535), default=8080, show_default=True)
@click.option("--namespace", default="planner", show_default=True)
@click.option("--max-gpus", type=click.IntRange(1), help="GPUs that all replicas may hold.")
@click.option("--cold-start", default="3s", show_default=True, help="Of a simulated engine.")
@click.option("--interval", default="5s", show_default=True, help="Between two decisions.")
@click.option("--drain", default="30s", show_default=True, help="Longest wait for what is served.")
@click.option("--state-dir", type=click.Path(path_type=Path), help="Folder for state and logs.")
@click.option("--detach", is_flag=True, help="Return once it answers and leave it running.")
def command(**given: Any) -> int:
    """Start a deployment on this machine: etcd, NATS, frontend, workers and a planner.

    In the foreground, Ctrl-C drains it and leaves nothing behind. The planner only observes unless
    told to apply.
    """
    from planner.cli.local.choices import choose
    from planner.cli.local.session import serve

    detach = given.pop("detach")
    return asyncio.run(serve(choose(given), detach=detach))
