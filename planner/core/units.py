"""The one place where durations, rates and shares are read and written: "200ms", "20/s", "99%".

Inside the program a duration is a float of seconds, a rate is per second and a share lies between
0 and 1. Every parser takes *what*, how an error calls the value (``--sla ttft=200``), and *hint*, a
template into which the error puts a value that would have been accepted.
"""

import re
from math import isfinite

from planner.errors import ConfigError

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PER_SECOND = {"s": 1.0, "m": 1 / 60, "min": 1 / 60, "h": 1 / 3600}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-zµ]*)\s*", re.IGNORECASE)


def parse_duration(
    text: str, *, what: str | None = None, hint: str = "write {}", example: str = "30s"
) -> float:
    """Return *text* ("200ms", "1.5s", "3m40s") in seconds; raises ConfigError.

    *example* is a value of the usual size: where the unit is missing, its unit is suggested.
    """
    name = what or repr(text)
    parts = _PART.findall(text.strip())
    if not parts or _PART.sub("", text.strip()):
        raise ConfigError(f"{name}: {text.strip()!r} is not a duration", hint=hint.format(example))
    usual = example.lstrip("0123456789.")
    return sum(
        _part_seconds(number, unit, name=name, hint=hint.format(number + usual))
        for number, unit in parts
    )


def _part_seconds(number: str, unit: str, *, name: str, hint: str) -> float:
    if not unit:
        raise ConfigError(f"{name}: a duration needs a unit (ms or s)", hint=hint)
    factor = _SECONDS.get(unit.lower())
    if factor is None:
        known = ", ".join(_SECONDS)
        raise ConfigError(f"{name}: unknown unit {unit!r} (known: {known})", hint=hint)
    return float(number) * factor


def parse_rate(text: str, *, what: str | None = None, hint: str = "write {}") -> float:
    """Return *text* ("20/s", "1200/min") per second; raises ConfigError."""
    name = what or repr(text)
    number, _, unit = text.strip().partition("/")
    value = _number(number, name=name, hint=hint.format("20/s"))
    suggestion = hint.format(f"{number.strip()}/s")
    if not unit:
        raise ConfigError(f"{name}: a rate needs a unit (/s, /min or /h)", hint=suggestion)
    factor = _PER_SECOND.get(unit.strip().lower())
    if factor is None:
        raise ConfigError(f"{name}: unknown unit '/{unit}' (known: /s, /min, /h)", hint=suggestion)
    return value * factor


def parse_share(text: str, *, what: str | None = None, hint: str = "write {}") -> float:
    """Return *text* ("99%" or "0.99") as a share between 0 and 1; raises ConfigError."""
    name = what or repr(text)
    number = text.strip().removesuffix("%")
    value = _number(number, name=name, hint=hint.format("99%"))
    if number != text.strip():
        value /= 100
    elif value > 1:
        suggestion = hint.format(f"{number}%")
        raise ConfigError(f"{name}: a share above 1 needs a percent sign", hint=suggestion)
    if value > 1:
        raise ConfigError(f"{name}: {text.strip()} is above 100%", hint=hint.format("99%"))
    return value


def _number(text: str, *, name: str, hint: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ConfigError(f"{name}: {text.strip()!r} is not a number", hint=hint) from None
    if not isfinite(value) or value < 0:
        raise ConfigError(f"{name}: {text.strip()} is not a number of 0 or more", hint=hint)
    return value


def format_duration(seconds: float) -> str:
    """Return *seconds* as people write it: 0.02 -> "20ms", 1.5 -> "1.5s", 220 -> "3m40s"."""
    if seconds <= 0:
        return f"-{format_duration(-seconds)}" if seconds < 0 else "0s"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.3g}ms"
    if seconds < 59.95:
        return f"{seconds:.3g}s"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    parts = ((hours, "h"), (minute, "m"), (second, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count)


def format_rate(per_second: float) -> str:
    """Return *per_second* as "41.2/s"."""
    return f"{per_second:.3g}/s"


def format_share(share: float) -> str:
    """Return *share* as "99%", with as many decimals as it needs up to two."""
    return f"{share * 100:.2f}".rstrip("0").rstrip(".") + "%"
