"""How a failure is told: `error:` with what, value and limit, then `hint:` with what helps."""

import difflib
import re

import click

from planner.errors import PlannerError

_EXTRAS = {
    "aetcd": "runtime",
    "circus": "local",
    "httptools": "runtime",
    "jinja2": "runtime",
    "kubernetes": "kubernetes",
    "msgspec": "runtime",
    "nats": "runtime",
    "streamlit": "dashboard",
    "tokenizers": "runtime",
    "uvloop": "runtime",
    "zmq": "local",
}


def explain(error: Exception) -> int:
    """Tell *error* on stderr and return the exit code that belongs to it."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return error.exit_code
    message, hint, code = _describe(error)
    tell(message, hint)
    return code


def tell(message: str, hint: str | None) -> None:
    """Write an error and, unless None, what helps, on stderr."""
    click.echo(f"error: {message}", err=True)
    if hint:
        click.echo(f"\nhint: {hint}", err=True)


def _describe(error: Exception) -> tuple[str, str | None, int]:
    if isinstance(error, PlannerError):
        return str(error), error.hint, error.exit_code
    if isinstance(error, click.UsageError):
        return _sentence(_told(error)), _usage_hint(error), error.exit_code
    if isinstance(error, click.ClickException):
        return _sentence(error.format_message()), None, error.exit_code
    if isinstance(error, ModuleNotFoundError) and (extra := _extra_with(error)):
        return f"the package {error.name} is not installed", f"pip install 'planner[{extra}]'", 1
    return f"{type(error).__name__}: {error}", "run it again with -vv for the traceback", 1


def _sentence(message: str) -> str:
    """Return click's sentence in our form: lower case, no full stop."""
    return message[:1].lower() + message[1:].rstrip(".")


def _told(error: click.UsageError) -> str:
    # What was probably meant is our hint; every other message names its option only in this form.
    return error.message if isinstance(error, click.NoSuchOption) else error.format_message()


def _usage_hint(error: click.UsageError) -> str:
    if isinstance(error, click.NoSuchOption) and error.possibilities:
        return f"did you mean {' or '.join(error.possibilities)}?"
    if close := _close_choices(error):
        return f"did you mean {close[0]}?"
    path = error.ctx.command_path if error.ctx else "planner"
    return f"{path} --help"


def _close_choices(error: click.UsageError) -> list[str]:
    """Return which choices of an option are near to what was given for it, the nearest first."""
    parameter = getattr(error, "param", None)
    given = re.search(r"'(.*?)' is not one of", error.message)
    if given is None or parameter is None or not isinstance(parameter.type, click.Choice):
        return []
    choices = {str(choice).lower(): str(choice) for choice in parameter.type.choices}
    return [choices[name] for name in difflib.get_close_matches(given[1].lower(), choices)]


def _extra_with(error: ModuleNotFoundError) -> str | None:
    return _EXTRAS.get((error.name or "").partition(".")[0])
