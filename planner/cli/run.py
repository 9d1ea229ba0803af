"""`planner run`: the control loop, acting or observing."""

from pathlib import Path

import click

from planner.cli.control.options import settings_options
from planner.cli.output import output_option


@click.command()
@settings_options()
@click.option("--once", is_flag=True, help="Decide once, act on it, and end.")
@click.option("--show-config", is_flag=True, help="Print every setting and where it was set.")
@output_option
def command(
    *, config: Path | None, once: bool, show_config: bool, output: str, **flags: object
) -> int:
    """Keep the SLA: look at the deployment, decide, and scale it, every interval.

    With --observe nothing is changed: what would be done is recorded. Ctrl-C ends it and leaves
    the replicas as they are. What is not set is taken from the deployment that runs here.
    """
    from planner.cli.control.effective import effective

    settled, spec = effective(flags, config=config)
    if show_config:
        from planner.cli.configuring.rows import show_rows

        show_rows(settled.rows, output)
        return 0
    from planner.cli.control.service import keep
    from runtime.process import run_process

    return run_process(lambda stop: keep(settled.settings, spec, once=once, stop=stop))
