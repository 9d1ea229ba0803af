"""The `planner` program: finds the command, runs it, and turns what goes wrong into one line.

Each command is a module `planner.cli.<name>` with a click command called `command`, imported when
it is used. A command returns its exit code, or None for 0.
"""

import logging
import sys
from collections.abc import Sequence

import click

from planner.cli import logs
from planner.cli.errors import explain
from planner.cli.exits import Exit
from planner.cli.group import LazyGroup
from planner.errors import PlannerError

COMMANDS = {
    "serve": "Start a deployment on this machine.",
    "status": "Show what runs here.",
    "stop": "Drain the deployment and stop it.",
    "run": "Keep the SLA: observe, decide and scale, again and again.",
    "plan": "Print one decision, and change nothing.",
    "simulate": "Backtest the planner on a trace, on a virtual clock.",
    "profile": "Measure what a model's engines can do.",
    "size": "Replicas and GPUs for a steady load.",
    "replay": "Send a trace to a live deployment and measure it.",
    "explain": "Why a decision came out as it did; what a setting or a reason means.",
    "history": "What the planner decided, latest last.",
    "dashboard": "What is decided, why, what it costs and what if, in a browser.",
    "chat": "Talk to the deployment.",
    "doctor": "Test what planner needs, and say how to mend it.",
    "config": "Show the settings in force, write a file of them, or check one.",
    "completion": "Print the completion script of a shell.",
}

log = logging.getLogger(__name__)


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if not value:
        return
    from importlib.metadata import version

    click.echo(f"planner {version('planner')}")
    ctx.exit()


@click.command(
    cls=LazyGroup,
    package="planner.cli",
    summaries=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)
def program() -> None:
    """Keep an LLM deployment inside its latency SLA on the fewest GPUs."""


logs.add_options(program)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program on *arguments* (the process's own by default); return its exit code."""
    try:
        result = program.main(args=arguments, prog_name="planner", standalone_mode=False)
    except (KeyboardInterrupt, click.Abort):
        return Exit.INTERRUPTED
    except BrokenPipeError:  # the reader of our output left, as `| head` does
        sys.stdout = None
        return Exit.FAILED
    except Exception as error:
        if not isinstance(error, PlannerError | click.ClickException):
            log.debug("unexpected", exc_info=error)
        return explain(error)
    return result if isinstance(result, int) else Exit.DONE


def run() -> None:
    """Entry point of the installed `planner` program."""
    sys.exit(main())
