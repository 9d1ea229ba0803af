"""`planner doctor`: what is here, what is not, and what would mend it."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.cli.control.options import settings_options
from planner.cli.output import output_option, print_json, print_line
from planner.cli.paths import state_directory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planner.cli.doctoring.finding import Finding

# Those that say what would be read of a Prometheus.
_SETTINGS = (
    "interval", "max_age", "connector", "kube_namespace", "servers", "engine", "model",
    "prometheus", "prometheus_labels", "prometheus_replica", "prometheus_token_file",
    "prometheus_user", "prometheus_password_file", "prometheus_ca_file", "metrics_timeout",
)  # fmt: skip


@click.command
@click.option(
    "--http-port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port that the frontend is to have; 0 looks at none.",
)
@click.option("--state-dir", type=click.Path(path_type=Path), help="Folder of the deployment.")
@settings_options(only=_SETTINGS)
@output_option
def command(
    *, http_port: int, state_dir: Path | None, config: Path | None, output: str, **flags: object
) -> int:
    """Look at everything that planner uses on this machine, and say how to mend what fails.

    Also at a Prometheus, where one is named: whether it has what would be read. Exits with 1 where
    a simulated deployment would not work, or that Prometheus. What is absent is optional.
    """
    from planner.cli.doctoring.examination import examine

    state = (state_dir or state_directory()).resolve()
    findings = asyncio.run(examine(state, http_port=http_port, flags=flags, config=config))
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
