"""`planner config show`: every setting in force, with its origin."""

from pathlib import Path

import click

from planner.cli.configuring.rows import show_rows
from planner.cli.control.options import settings_options
from planner.cli.output import output_option


@click.command()
@settings_options()
@click.option("--changed", is_flag=True, help="Only what is set somewhere.")
@output_option
def command(*, config: Path | None, changed: bool, output: str, **flags: object) -> None:
    """Print every setting of `run` and `plan`, its value, and where it was set.

    Flags are those of `planner run`: they show what a run with them would go by.
    """
    from planner.cli.control.effective import in_force
    from planner.config.settle import DEFAULT

    settled, _ = in_force(flags, config=config)
    rows = [row for row in settled.rows if not changed or row[2] != DEFAULT]
    show_rows(rows, output)
