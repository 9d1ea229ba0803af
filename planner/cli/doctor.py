"""`planner doctor`: what is here, what is not, and what would mend it."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.cli.output import output_option, print_json, print_line
from planner.cli.paths import state_directory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planner.cli.doctoring.finding import Finding


@click.command
@click.option(
    "--http-port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port that the frontend is to have; 0 looks at none.",
)
@click.option("--state-dir", type=click.Path(path_type=Path), help="Folder of the deployment.")
@output_option
def command(http_port: int, state_dir: Path | None, output: str) -> int:
    """Look at everything that planner uses on this machine, and say how to mend what fails.

    Exits with 1 where a simulated deployment would not work. What is absent is optional.
    """
    from planner.cli.doctoring.examination import examine

    state = (state_dir or state_directory()).resolve()
    findings = asyncio.run(examine(state, http_port=http_port))
    works = not any(finding.prevents for finding in findings)
    if output == "json":
        print_json({"ok": works, "state_dir": str(state), "findings": findings})
    else:
        _print(findings, works=works)
    return 0 if works else 1


def _print(findings: "Sequence[Finding]", *, works: bool) -> None:
    names = max(len(finding.name) for finding in findings)
    for finding in findings:
        remedy = f": {finding.remedy}" if finding.remedy else ""
        print_line(f"{finding.state:<6}  {finding.name:<{names}}  {finding.found}{remedy}")
    told = "everything that it needs is here" if works else "mend what failed first"
    print_line(f"\nplanner serve: {told}")
