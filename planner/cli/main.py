"""The `planner` program: finds the command, runs it, and turns what goes wrong into one line.

Each command is a module `planner.cli.<name>` with a click command called `command`, imported when
it is used. A command returns its exit code, or None for 0.
"""

import difflib
import importlib
import logging
import sys
from collections.abc import Sequence
from typing import cast

import click

from planner.cli import logs
from planner.cli.errors import explain
from planner.errors import ConfigError, PlannerError

COMMANDS = {
    "serve": "Start a deployment on this machine.",
    "status": "Show what runs here.",
    "stop": "Drain the deployment and stop it.",
    "run": "Keep the SLA: observe, decide and scale, again and again.",
    "plan": "Print one decision, and change nothing.",
    "simulate": "Backtest the planner on a trace, on a virtual clock.",
    "size": "Replicas and GPUs for a steady load.",
    "replay": "Send a trace to a live deployment and measure it.",
    "explain": "Why a decision came out as it did.",
    "history": "What the planner decided, latest last.",
    "chat": "Talk to the deployment.",
}
INTERRUPTED = 130

log = logging.getLogger(__name__)


class _Commands(click.Group):
    """A group that knows its commands' names and summaries without importing them."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = cast("click.Command", importlib.import_module(f"planner.cli.{cmd_name}").command)
        logs.add_options(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            close = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f"did you mean `planner {close[0]}`?" if close else "planner --help"
            raise ConfigError(f"no such command: {name}", hint=hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if not value:
        return
    from importlib.metadata import version

    click.echo(f"planner {version('planner')}")
    ctx.exit()


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
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
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output left, as `| head` does
        sys.stdout = None
        return 1
    except Exception as error:
        if not isinstance(error, PlannerError | click.ClickException):
            log.debug("unexpected", exc_info=error)
        return explain(error)
    return result if isinstance(result, int) else 0


def run() -> None:
    """Entry point of the installed `planner` program."""
    sys.exit(main())
