"""What values a field of a request may have. Each check returns the value to use.

A check raises ValueError with what is wrong, or Unsupported for what OpenAI's API knows and this
server does not do.
"""

from collections.abc import Callable
from typing import Any

Check = Callable[[Any], Any]


class Unsupported(ValueError):
    """A legal value that asks for something that is not offered."""


def number(low: float, high: float, *, above_low: bool = False) -> Check:
    """Accept numbers from *low* (not itself with *above_low*) to *high*."""
    span = f"must be a number {'above' if above_low else 'from'} {low:g} to {high:g}"

    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(span)  # noqa: TRY004 - one kind of error for one kind of mistake
        if not low <= value <= high or (above_low and value == low):
            raise ValueError(f"{span}, not {_shown(value)}")
        return float(value)

    return check


def integer(low: int, high: int = 2**63 - 1) -> Check:
    """Accept whole numbers from *low* to *high*."""
    bounds = f"of at least {low}" if high == 2**63 - 1 else f"from {low} to {high}"
    span = f"must be a whole number {bounds}"

    def check(value: Any) -> int:
        if not _is_integer(value):
            raise ValueError(span)
        if not low <= value <= high:
            raise ValueError(f"{span}, not {_shown(value)}")
        return int(value)

    return check


def flag(value: Any) -> bool:
    """Accept true and false."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004
    return value


def text(value: Any) -> str:
    """Accept a string."""
    if not isinstance(value, str):
        raise ValueError("must be a string")  # noqa: TRY004
    return value


def name(value: Any) -> str:
    """Accept a string that is not empty."""
    if not text(value):
        raise ValueError("must not be empty")
    return str(value)


def only(*accepted: Any, what: str = "only the default is supported") -> Check:
    """Accept the values that change nothing; others are known and not supported."""

    def check(value: Any) -> Any:
        if not any(value == one and type(value) in _alike(one) for one in accepted):
            raise Unsupported(what)
        return value

    return check


def ignored(kind: type) -> Check:
    """Accept any value of *kind*, which has no effect here."""

    def check(value: Any) -> Any:
        if not isinstance(value, kind):
            raise ValueError(f"must be of type {kind.__name__}")  # noqa: TRY004
        return value

    return check


def stop_strings(value: Any) -> tuple[str, ...]:
    """Accept one stop string or up to 16."""
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
        raise ValueError("must be a string or a list of strings")
    if len(stops) > 16:
        raise ValueError(f"at most 16 stop strings, not {len(stops)}")
    for stop in stops:
        if not 0 < len(stop) <= 256:
            raise ValueError(f"a stop string has 1 to 256 characters, not {len(stop)}")
    return tuple(stops)


def token_ids(value: Any) -> tuple[int, ...]:
    """Accept up to 128 token ids."""
    if not is_token_list(value):
        raise ValueError("must be a list of token ids")
    if len(value) > 128:
        raise ValueError(f"at most 128 token ids, not {len(value)}")
    return tuple(value)


def is_token_list(value: Any) -> bool:
    """Return whether *value* is a list of numbers that can be token ids."""
    return isinstance(value, list) and all(
        _is_integer(item) and 0 <= item < 2**31 for item in value
    )


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(value: float) -> str:
    return repr(value)[:24]


def _alike(value: Any) -> tuple[type, ...]:
    """Return the types whose values may equal *value*: 0 is 0.0, but not false."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return (int, float) if is_number else (type(value),)
