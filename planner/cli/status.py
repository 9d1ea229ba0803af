"""`planner status`: what runs here, replicas by state, and the planner's last word."""

import asyncio
from pathlib import Path

import click

from planner.cli.exits import Exit
from planner.cli.output import output_option, print_json
from planner.cli.paths import state_directory


@click.command
@click.option(
    "--watch", "is_watch", is_flag=True, help="Look again every 2 seconds; Ctrl-C ends it."
)
@click.option("--state-dir", type=click.Path(path_type=Path), help="Folder of the deployment.")
@output_option
def command(is_watch: bool, state_dir: Path | None, output: str) -> int:
    """Show what runs here: who serves, how the SLA is kept, replicas by state, and why.

    Desired is what the planner last decided, requested what was asked of the machine, waiting and
    KV what the engines said then. With --watch it is redrawn in place on a terminal; elsewhere each
    change is a block, or with -o json a line.
    """
    state = (state_dir or state_directory()).resolve()
    code = _show(state, output, only_check=is_watch)
    if is_watch and code == Exit.DONE:
        from planner.cli.local.watch import watch

        watch(state, output)
    return code


def _show(state: Path, output: str, *, only_check: bool) -> Exit:
    from connectors.circus.spec import spec_path
    from planner.cli.local.document import document
    from planner.cli.local.lock import is_running
    from planner.cli.local.status import look
    from planner.cli.local.watch import print_status
    from planner.errors import PlannerError

    if not is_running(state):
        if output == "json":
            print_json(document(None, state))
            return Exit.FAILED
        raise PlannerError(f"no deployment runs in {state}", hint="planner serve")
    if only_check:
        return Exit.DONE
    if not spec_path(state).exists():
        raise PlannerError(
            f"the deployment in {state} is only starting, or just ending",
            hint="planner status --watch",
        )
    status = asyncio.run(look(state))
    if output == "json":
        print_json(document(status, state))
    else:
        print_status(status)
    return Exit.DONE
