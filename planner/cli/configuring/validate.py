"""`planner config validate`: everything in a file that could not be used."""

import os
from pathlib import Path

import click

from planner.cli.exits import Exit
from planner.cli.output import output_option, print_json, print_line


@click.command()
@click.argument("file", type=click.Path(path_type=Path), envvar="PLANNER_CONFIG", required=False)
@output_option
def command(file: Path | None, output: str) -> int:
    """Check FILE, of settings or of a fleet; planner.toml, or that of PLANNER_CONFIG, by default.

    Everything that is wrong is told, not only the first of it. PLANNER_* variables are checked
    with it.
    """
    from planner.cli.configuring.problems import problems
    from planner.cli.errors import tell

    path = file or Path("planner.toml")
    found = problems(path, os.environ)
    if output == "json":
        told = [{"message": str(one), "hint": one.hint} for one in found]
        print_json({"file": str(path), "valid": not found, "problems": told})
    elif not found:
        print_line(f"{path} can be used")
    else:
        for one in found:
            tell(str(one), one.hint)
    return Exit.USAGE if found else Exit.DONE
