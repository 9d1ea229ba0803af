"""The flags that cut, multiply and bend a trace, for every command that takes one."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from planner.errors import ConfigError

if TYPE_CHECKING:
    from planner.traces import Trace

_Command = TypeVar("_Command", bound=Callable[..., Any])
_PERIOD = "180s"
_FLAGS = (
    click.option("--trace", "source", required=True, metavar="FILE",
                 help="Azure CSV or Mooncake JSONL; bundled:azure-conv to try."),
    click.option("--start", metavar="DURATION", help="Leave out what the trace has before."),
    click.option("--duration", "--head", "duration", metavar="DURATION",
                 help="Only so much of the trace."),
    click.option("--amplify", type=click.IntRange(1), default=1, metavar="N",
                 help="N times the requests."),
    click.option("--speed", type=float, metavar="X", help="Replay X times as fast."),
    click.option("--swing", metavar="LOW:HIGH", help="Let the speed swing between the two."),
    click.option("--period", metavar="DURATION", help=f"Of a swing.  [default: {_PERIOD}]"),
    click.option("--seed", type=int, default=0, show_default=True, help="Of all chance."),
)  # fmt: skip


def shaping_options(command: _Command) -> _Command:
    """Add the flags of a trace to *command*; `shaped` takes what they gave."""
    for flag in reversed(_FLAGS):
        command = flag(command)
    return command


def shaped(given: Mapping[str, Any]) -> "Trace":
    """Return the trace that the flags *given* name, first cut, then multiplied, then bent.

    Raises TraceError and ConfigError.
    """
    import numpy as np

    from planner.traces import amplify, open_trace

    _check(given)
    trace = _cut(open_trace(given["source"]), given)
    if not len(trace):
        raise ConfigError(
            f"--start {given['start'] or '0s'} --duration {given['duration']}: no request arrives "
            "in this part of the trace",
            hint="leave out --start",
        )
    return _bent(amplify(trace, given["amplify"], rng=np.random.default_rng(given["seed"])), given)


def duration(flag: str, text: str) -> float:
    """Return the seconds that *flag* was given as; raises ConfigError."""
    from planner.core.units import parse_duration

    return parse_duration(text, what=f"{flag} {text}", hint=f"{flag} {{}}")


def _check(given: Mapping[str, Any]) -> None:
    if given["speed"] is not None and given["swing"] is not None:
        raise ConfigError("--speed with --swing: a swing has its own speeds", hint="--swing 2:12")
    if given["period"] is not None and given["swing"] is None:
        raise ConfigError("--period without --swing", hint=f"--swing 1:6 --period {_PERIOD}")


def _cut(trace: "Trace", given: Mapping[str, Any]) -> "Trace":
    from planner.traces import window

    if given["start"] is None and given["duration"] is None:
        return trace
    start = duration("--start", given["start"] or "0s")
    rest = max(trace.duration_seconds - start, 0) + 1
    length = rest if given["duration"] is None else duration("--duration", given["duration"])
    return window(trace, start=start, duration=length)


def _bent(trace: "Trace", given: Mapping[str, Any]) -> "Trace":
    from planner.traces import speed, swing

    if given["swing"] is not None:
        low, high = _speeds(given["swing"])
        return swing(trace, low=low, high=high, period=duration("--period", _period(given)))
    return trace if given["speed"] is None else speed(trace, given["speed"])


def _period(given: Mapping[str, Any]) -> str:
    return given["period"] or _PERIOD


def _speeds(text: str) -> tuple[float, float]:
    low, _, high = text.partition(":")
    try:
        return float(low), float(high)
    except ValueError:
        raise ConfigError(
            f"--swing {text}: must be two speeds, LOW:HIGH", hint="--swing 1:6"
        ) from None
