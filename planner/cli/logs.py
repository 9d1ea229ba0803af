"""The options -v and -q, which every command has, and the log on stderr that they set."""

import logging

import click

_META = "planner.verbosity"
_OURS = "planner"
_LEVELS = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO, 2: logging.DEBUG}


def add_options(command: click.Command) -> None:
    """Give *command* -v and -q; a second call changes nothing."""
    if any(parameter.name == "verbose" for parameter in command.params):
        return
    command.params += [
        click.Option(
            ["-v", "--verbose"],
            count=True,
            expose_value=False,
            callback=_louder,
            help="Log more on stderr; -vv also shows tracebacks.",
        ),
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            expose_value=False,
            callback=_quieter,
            help="Print results and errors only.",
        ),
    ]


def is_quiet() -> bool:
    """Return whether -q was given to the command that runs."""
    context = click.get_current_context(silent=True)
    return context is not None and context.meta.get(_META, 0) < 0


def configure(level: int) -> None:
    """Log to stderr from *level* on; calling it again moves the level."""
    logging.basicConfig(format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    logging.getLogger().setLevel(level)
    logging.getLogger(_OURS).setLevel(logging.NOTSET)


def tell_decisions() -> None:
    """Log what the planner itself says at INFO, unless -q was given: a line for each decision."""
    if not is_quiet() and not logging.getLogger(_OURS).isEnabledFor(logging.INFO):
        logging.getLogger(_OURS).setLevel(logging.INFO)


def _louder(context: click.Context, _: click.Parameter, count: int) -> None:
    _shift(context, count)


def _quieter(context: click.Context, _: click.Parameter, quiet: bool) -> None:
    _shift(context, -1 if quiet else 0)


def _shift(context: click.Context, by: int) -> None:
    # The program and its command share `meta`: `planner -v plan -v` is 2.
    context.meta[_META] = verbosity = context.meta.get(_META, 0) + by
    configure(_LEVELS[max(-1, min(2, verbosity))])
