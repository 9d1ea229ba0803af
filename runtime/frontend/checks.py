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
        _require(_is_number(value), span)
        inside = low <= value <= high and not (above_low and value == low)
        _require(inside, f"{span}, not {_shown(value)}")
        return float(value)

    return check


def integer(low: int, high: int = 2**63 - 1) -> Check:
    """Accept whole numbers from *low* to *high*."""
    bounds = f"of at least {low}" if high == 2**63 - 1 else f"from {low} to {high}"
    span = f"must be a whole number {bounds}"

    def check(value: Any) -> int:
        _require(_is_integer(value), span)
        _require(low <= value <= high, f"{span}, not {_shown(value)}")
        return int(value)

    return check


def flag(value: Any) -> bool:
    """Accept true and false."""
    _require(isinstance(value, bool), "must be true or false")
    return bool(value)


def text(value: Any) -> str:
    """Accept a string."""
    _require(isinstance(value, str), "must be a string")
    return str(value)


def name(value: Any) -> str:
    """Accept a string that is not empty."""
    _require(text(value) != "", "must not be empty")
    return str(value)


def mapping(value: Any) -> dict[str, Any]:
    """Accept an object."""
    _require(isinstance(value, dict), "must be an object")
    return dict(value)


def only(*accepted: Any, what: str = "only the default is supported") -> Check:
    """Accept the values that change nothing; others are known and not supported."""

    def check(value: Any) -> Any:
        if not any(value == one and type(value) in _alike(one) for one in accepted):
            raise Unsupported(what)
        return value

    return check


def stop_strings(value: Any) -> tuple[str, ...]:
    """Accept one stop string or up to 16."""
    stops = [value] if isinstance(value, str) else value
    are_strings = isinstance(stops, list) and all(isinstance(stop, str) for stop in stops)
    _require(are_strings, "must be a string or a list of strings")
    _require(len(stops) <= 16, f"at most 16 stop strings, not {len(stops)}")
    for stop in stops:
        _require(0 < len(stop) <= 256, f"a stop string has 1 to 256 characters, not {len(stop)}")
    return tuple(stops)


def token_ids(value: Any) -> tuple[int, ...]:
    """Accept up to 128 token ids."""
    _require(is_token_list(value), "must be a list of token ids")
    _require(len(value) <= 128, f"at most 128 token ids, not {len(value)}")
    return tuple(value)


def logit_bias(value: Any) -> dict[int, float]:
    """Accept an object of up to 1024 token ids, as text, with a bias from -100 to 100 each."""
    _require(isinstance(value, dict), "must be an object")
    _require(len(value) <= 1024, f"at most 1024 tokens, not {len(value)}")
    bias = number(-100, 100)
    return {_token_id(key): bias(each) for key, each in value.items()}


def _token_id(key: str) -> int:
    is_id = key.isascii() and key.isdigit() and len(key) <= 10
    _require(is_id, f"{key[:24]!r} is no token id")
    return int(key)


def is_token_list(value: Any) -> bool:
    """Return whether *value* is a list of numbers that can be token ids."""
    return isinstance(value, list) and all(
        _is_integer(item) and 0 <= item < 2**31 for item in value
    )


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: float) -> str:
    return repr(value)[:24]


def _alike(value: Any) -> tuple[type, ...]:
    """Return the types whose values may equal *value*: 0 is 0.0, but not false."""
    return (int, float) if _is_number(value) else (type(value),)
