"""`planner serve`: a whole deployment on this machine, from one command."""

import asyncio
from pathlib import Path
from typing import Any

import click

ROUTERS = ("least_loaded", "kv", "round_robin", "random")


class _BeforeEngineArguments(click.Command):
    """A command that leaves what follows ``--`` to the engine."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = args.index("--") if "--" in args else len(args)
        rest = super().parse_args(ctx, args[:at])
        ctx.params["engine_arguments"] = tuple(args[at + 1 :])
        return rest

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- ENGINE ARGUMENTS]"]


@click.command(cls=_BeforeEngineArguments)
@click.option("--model", type=click.Path(path_type=Path), help="Folder of the model to serve.")
@click.option(
    "--engine",
    type=click.Choice(["simulated", "vllm"]),
    default="simulated",
    show_default=True,
    help="simulated needs no GPU and no weights; vllm needs --model.",
)
@click.option(
    "--profile",
    help="How fast the engines are: a bundled profile, or a file. Without one, the planner of a"
    " vLLM deployment goes by queues and KV usage.  [default of simulated: llama-3.1-8b-fp8-h200]",
)
@click.option(
    "--parallelism",
    metavar="TPN|ROLE=TPN",
    help="How a replica is spread over GPUs: tp2, or prefill=tp2,decode=tp4."
    "  [default: tp1 with vLLM, else the profile's first]",
)
@click.option(
    "--engine-config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="vLLM's arguments as YAML or JSON; those after -- win over it.",
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
@click.option(
    "--router",
    type=click.Choice(ROUTERS),
    default="least_loaded",
    show_default=True,
    help="How the frontend chooses who serves a request; kv: where its prompt is cached, unless"
    " that worker has more in hand than the cache saves.",
)
@click.option("--http-port", type=click.IntRange(0, 65535), default=8080, show_default=True)
@click.option(
    "--metrics-port",
    type=click.IntRange(1, 65535),
    help="Port of the planner's /metrics, and of /targets for Prometheus.  [default: none]",
)
@click.option("--namespace", default="planner", show_default=True)
@click.option(
    "--max-gpus",
    type=click.IntRange(1),
    help="GPUs that all replicas may hold.  [default: with vLLM, those that are here]",
)
@click.option(
    "--cold-start",
    metavar="DURATION",
    help="From starting a replica until it serves.  [default of simulated: 3s; of vllm: measured]",
)
@click.option("--interval", default="5s", show_default=True, help="Between two decisions.")
@click.option("--drain", default="30s", show_default=True, help="Longest wait for what is served.")
@click.option("--state-dir", type=click.Path(path_type=Path), help="Folder for state and logs.")
@click.option("--detach", is_flag=True, help="Return once it answers and leave it running.")
def command(**given: Any) -> int:
    """Start a deployment on this machine: etcd, NATS, frontend, workers and a planner.

    In the foreground, Ctrl-C drains it and leaves nothing behind. The planner only observes unless
    told to apply. What follows -- goes to the workers (-- --max-local-prefill-length 512), with
    what is for their engines: vLLM's own arguments (-- --max-model-len 8192) or the simulated
    engine's (-- --noise 3%).
    """
    from planner.cli.local.choices import choose
    from planner.cli.local.session import serve

    detach = given.pop("detach")
    return asyncio.run(serve(choose(given), detach=detach))
