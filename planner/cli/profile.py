"""`planner profile`: measures what one engine can do, at every parallelism, and writes it down."""

from typing import Any

import click

from planner.cli.output import output_option
from planner.cli.profiling.options import profile_options


@click.command()
@profile_options
@output_option
@click.argument("engine_arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- VLLM_ARGS]...")
def command(**given: Any) -> int:
    """Measure a model's engines and write the profile that everything else plans from.

    Every point is kept: run again, it goes on where it was. What follows -- goes to vLLM as it is.
    """
    from planner.cli.profiling.ways import profile

    return profile(given)
