"""The one tree of errors that a user of the planner can meet; every layer raises from it."""


class PlannerError(Exception):
    """Something the user can act on: one line that names what, value and limit, and a hint.

    The message never ends in a traceback for the user; ``exit_code`` is what the command line
    returns. *hint* is a command or setting that helps, or None.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(PlannerError):
    """A flag, file or environment value that cannot be used."""

    exit_code = 2


class TraceError(ConfigError):
    """A trace file that cannot be read: names the file and the line."""


class ProfileError(ConfigError):
    """A profile that is missing, malformed or does not cover what is asked of it."""


class MetricsUnavailable(PlannerError):
    """Nothing current is known about the deployment; the fleet is held."""


class JournalError(PlannerError):
    """A journal that cannot be read or written."""


class ScaleRejected(PlannerError):
    """A connector did not change what it was asked to change."""


class SlaInfeasible(PlannerError):
    """No number of replicas meets the SLA; the message names the nearest target that is met."""

    exit_code = 4
