"""A command made of commands that are imported when they are used, and that suggests names."""

import difflib
import importlib
from collections.abc import Mapping
from typing import cast

import click
from click.shell_completion import CompletionItem

from planner.cli import logs
from planner.errors import ConfigError


class LazyGroup(click.Group):
    """Knows its commands by *summaries* alone; each is `command` of the module *package*.NAME.

    A name that it does not know raises ConfigError with what was probably meant.
    """

    def __init__(
        self, name: str | None = None, *, package: str, summaries: Mapping[str, str], **rest: object
    ) -> None:
        super().__init__(name, **rest)  # type: ignore[arg-type]
        self._package = package
        self._summaries = summaries

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names in the order of the help."""
        return list(self._summaries)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, with -v and -q; None for a name that is not one."""
        if cmd_name not in self._summaries:
            return None
        module = importlib.import_module(f"{self._package}.{cmd_name}")
        command = cast("click.Command", module.command)
        logs.add_options(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return what *args* begin with; raises ConfigError for no command of this group."""
        name = args[0]
        is_known = name in self._summaries or name.startswith("-")
        if not is_known and not ctx.resilient_parsing:
            close = difflib.get_close_matches(name, self._summaries, n=1)
            path = ctx.command_path
            hint = f"did you mean `{path} {close[0]}`?" if close else f"{path} --help"
            raise ConfigError(f"no such command: {name}", hint=hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the names and summaries."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._summaries.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands that *incomplete* may become, without importing any, and options."""
        found = [
            CompletionItem(name, help=summary)
            for name, summary in self._summaries.items()
            if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]
