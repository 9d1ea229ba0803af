"""`planner explain`: why a decision came out as it did; what a setting or a reason means."""

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from planner.cli.output import output_option
from planner.cli.paths import default_journal_path

if TYPE_CHECKING:
    from planner.core.plan import Reason

_LATEST = "latest"


def _completed(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in _words() if name.startswith(incomplete)]


def _words() -> list[str]:
    from planner.config import Settings
    from planner.core.plan import Reason

    return [_LATEST, *Settings.model_fields, *Reason]


@click.command()
@click.argument(
    "subject", default=_LATEST, metavar="[latest|ID|SETTING|REASON]", shell_complete=_completed
)
@click.option(
    "--journal", type=click.Path(path_type=Path), default=default_journal_path,
    envvar="PLANNER_JOURNAL", help="File to read; the default planner's when left out.",
)  # fmt: skip
@click.option(
    "--config", type=click.Path(path_type=Path), envvar="PLANNER_CONFIG", metavar="FILE",
    help="File in which a setting may be set.",
)  # fmt: skip
@output_option
def command(subject: str, journal: Path, config: Path | None, output: str) -> None:
    """Explain a decision: the latest, or the one with an ID from `planner history`.

    Or a setting, such as cold_start: what it is, and where it is set. Or a reason, such as
    Backlog: what it means, what to look at, and what to do.
    """
    from planner.cli.explaining.decision import explain_decision
    from planner.cli.explaining.reason import explain_reason
    from planner.cli.explaining.setting import explain_setting
    from planner.config import Settings

    name = subject.replace("-", "_").lower()
    if subject == _LATEST or subject.isdecimal():
        explain_decision(None if subject == _LATEST else int(subject), journal, output)
    elif name in Settings.model_fields:
        explain_setting(name, config, output)
    elif reason := _reason(subject):
        explain_reason(reason, output)
    else:
        raise _unknown(subject)


def _reason(subject: str) -> "Reason | None":
    from planner.core.plan import Reason

    return next((reason for reason in Reason if reason.lower() == subject.lower()), None)


def _unknown(subject: str) -> Exception:
    from planner.errors import ConfigError

    words = {word.lower(): word for word in _words()}
    close = difflib.get_close_matches(subject.replace("-", "_").lower(), words, n=1)
    hint = f"planner explain {words[close[0]]}" if close else "planner explain --help"
    return ConfigError(
        f"{subject!r} is neither latest nor the id of a decision, a setting or a reason",
        hint=f"did you mean `{hint}`?" if close else hint,
    )
