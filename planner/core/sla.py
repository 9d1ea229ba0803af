"""The SLA: latency targets and the share of requests that must meet them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial

from planner.core.units import format_duration, format_share, parse_duration, parse_share
from planner.errors import ConfigError

_LOWEST_ATTAINMENT = 0.5
_HIGHEST_ATTAINMENT = 0.9999
_LONGEST_SECONDS = 3600.0
_ALIASES = {"tpot": "itl", "tbt": "itl", "latency": "ttft", "slo": "attainment"}
_PERCENTILE = re.compile(r"(ttft|itl|tpot)[._-]?p(\d{1,2}(?:\.\d+)?)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sla:
    """Targets for TTFT and for a request's mean ITL, met by *attainment* of all requests.

    A target of None is not judged; at least one is set. Raises ConfigError when out of range.
    """

    ttft_seconds: float | None = None
    itl_seconds: float | None = None
    attainment: float = 0.99

    def __post_init__(self) -> None:
        """Raise ConfigError for a value out of range, or no target at all."""
        if self.ttft_seconds is None and self.itl_seconds is None:
            raise ConfigError("an SLA needs a ttft or an itl target", hint="--sla ttft=200ms")
        for name, seconds in (("ttft", self.ttft_seconds), ("itl", self.itl_seconds)):
            if seconds is not None and not 0 < seconds <= _LONGEST_SECONDS:
                limit = format_duration(_LONGEST_SECONDS)
                raise ConfigError(
                    f"{name}={format_duration(seconds)}: must be above 0 and at most {limit}",
                    hint=f"--sla {name}=200ms",
                )
        if not _LOWEST_ATTAINMENT <= self.attainment <= _HIGHEST_ATTAINMENT:
            raise ConfigError(
                f"attainment={format_share(self.attainment)}: must be between "
                f"{format_share(_LOWEST_ATTAINMENT)} and {format_share(_HIGHEST_ATTAINMENT)}",
                hint="--sla attainment=99%",
            )

    @classmethod
    def parse(cls, text: str, *, what: str = "--sla") -> "Sla":
        """Return the SLA written as ``ttft=200ms,itl=20ms,attainment=99%``.

        *what* is how an error calls the place of it. Raises ConfigError with a suggestion.
        """
        values: dict[str, float] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            field, value = _parse_part(part, what=what)
            if field in values:
                raise ConfigError(f"{what} {part}: given twice", hint="name each target once")
            values[field] = value
        return cls(**values)

    def __str__(self) -> str:
        """Return the form that `parse` reads, exact enough to be pasted into a command."""
        targets = (("ttft", self.ttft_seconds), ("itl", self.itl_seconds))
        parts = [f"{name}={_exact(seconds)}" for name, seconds in targets if seconds]
        return ",".join([*parts, f"attainment={format_share(self.attainment)}"])


def _exact(seconds: float) -> str:
    return f"{seconds * 1e3:g}ms" if seconds < 1 else f"{seconds:g}s"


_FIELDS: dict[str, tuple[str, Callable[..., float], str]] = {
    "ttft": ("ttft_seconds", partial(parse_duration, example="200ms"), "200ms"),
    "itl": ("itl_seconds", partial(parse_duration, example="20ms"), "20ms"),
    "attainment": ("attainment", parse_share, "99%"),
}


def _parse_part(part: str, *, what: str) -> tuple[str, float]:
    name, equals, text = (piece.strip() for piece in part.partition("="))
    name = name.lower()
    if name not in _FIELDS:
        raise _unknown(name, part, what=what)
    field, parse, example = _FIELDS[name]
    usage = f"{_usage(what)} {name}="
    if not equals or not text:
        raise ConfigError(f"{what} {part}: {name} needs a value", hint=usage + example)
    return field, parse(text, what=f"{what} {part}", hint=usage + "{}")


def _usage(what: str) -> str:
    """Return how to write it right: a flag is shown with a command that takes it."""
    return f"planner run {what}" if what.startswith("--") else what


def _unknown(name: str, part: str, *, what: str) -> ConfigError:
    percentile = _PERCENTILE.match(name)
    if percentile:
        metric = _ALIASES.get(percentile[1], percentile[1])
        example = part.partition("=")[2].strip() or _FIELDS[metric][2]
        return ConfigError(
            f"{what} {part}: percentiles are written as the share of requests that must comply",
            hint=f"{_usage(what)} {metric}={example},attainment={percentile[2]}%",
        )
    close = get_close_matches(name, _FIELDS, n=1, cutoff=0.5)
    meant = _ALIASES.get(name) or (close[0] if close else None)
    hint = f"did you mean {meant}?" if meant else f"{_usage(what)} ttft=200ms,itl=20ms"
    return ConfigError(
        f"{what} {part}: unknown metric {name!r} (known: {', '.join(_FIELDS)})", hint=hint
    )
