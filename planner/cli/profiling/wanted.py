"""What `planner profile` was asked for, whichever way the points come."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from planner.core.profile import Parallelism
from planner.core.sizing import with_long_prompts
from planner.core.sla import Sla
from planner.core.units import parse_duration, parse_rate
from planner.core.workload import Workload
from planner.errors import ConfigError
from profiler.target import Target

_SIZES = {"gib": 2.0**30, "gb": 1e9, "mib": 2.0**20, "mb": 1e6}


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Where the results go; None is not written."""

    name: str | None
    out: Path | None
    report: Path | None
    npz: Path | None
    output: str

    def check(self) -> None:
        """Raise ConfigError for a place that cannot be written: before hours of measuring."""
        for flag, path in (("--out", self.out), ("--report", self.report)):
            if path is not None and not path.absolute().parent.is_dir():
                raise ConfigError(f"{flag} {path}: no such folder", hint=f"mkdir {path.parent}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The load to choose for, the bounds of measuring, and where the results go."""

    target: Target
    parallelisms: tuple[Parallelism, ...] | None
    max_gpus: int | None
    max_points: int | None
    budget_seconds: float | None
    results: Results

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Return what the flags *given* come to. Raises ConfigError."""
        results = Results(
            name=given["name"],
            out=given["out"],
            report=given["report"],
            npz=given["export_npz"],
            output=given["output"],
        )
        results.check()
        return cls(
            target=Target(sla=Sla.parse(given["sla"]), workload=_workload(given)),
            parallelisms=_parallelisms(given["parallelism"]),
            max_gpus=given["max_gpus"],
            max_points=given["max_points"],
            budget_seconds=_seconds("--budget", given["budget"]),
            results=results,
        )


def parse_size(text: str, *, what: str) -> float:
    """Return *text*, such as ``80GB``, in bytes. Raises ConfigError."""
    plain = text.strip().lower()
    unit = next((unit for unit in _SIZES if plain.endswith(unit)), None)
    try:
        size = float(plain.removesuffix(unit or "")) * _SIZES[unit or ""]
    except (ValueError, KeyError):
        raise ConfigError(
            f"{what} {text}: a size needs a unit (GB or GiB)", hint=f"{what} 80GB"
        ) from None
    if not size > 0:
        raise ConfigError(f"{what} {text}: must be above 0", hint=f"{what} 80GB")
    return size


def _workload(given: Mapping[str, Any]) -> Workload:
    load = Workload(rate_rps=0.0, isl=given["isl"], osl=given["osl"])
    if given["rate"] is not None:
        rate = given["rate"]
        parsed = parse_rate(rate, what=f"--rate {rate}", hint="--rate {}")
        load = replace(load, rate_rps=parsed)
    isl_p99 = given["isl_p99"]
    return load if isl_p99 is None else with_long_prompts(load, isl_p99)


def _parallelisms(text: str | None) -> tuple[Parallelism, ...] | None:
    if text is None:
        return None
    parsed = [Parallelism.parse(part) for part in text.split(",") if part.strip()]
    if not parsed:
        raise ConfigError("--parallelism: names none", hint="--parallelism tp1,tp2")
    return tuple(dict.fromkeys(parsed))


def _seconds(flag: str, text: str | None) -> float | None:
    return (
        None if text is None else parse_duration(text, what=f"{flag} {text}", hint=f"{flag} {{}}")
    )
