"""A profile: what one model does on one kind of GPU, at every parallelism that was measured.

It is a value without files: `planner.profiles` reads and lists them, `profiler` makes them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from planner.core.engine import EngineModel
from planner.errors import ConfigError, ProfileError

SCHEMA_VERSION = "1"
_PARALLELISM = re.compile(r"tp(\d+)(?:pp(\d+))?$", re.IGNORECASE)


class Kind(StrEnum):
    """Where a profile's figures come from."""

    MEASURED = "measured"
    ESTIMATED = "estimated"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Parallelism:
    """How one engine is spread over GPUs; written ``tp2`` or ``tp2pp2``."""

    tp: int = 1
    pp: int = 1

    def __post_init__(self) -> None:
        """Raise ConfigError below one."""
        if min(self.tp, self.pp) < 1:
            raise ConfigError(
                f"parallelism tp={self.tp} pp={self.pp}: each must be at least 1", hint="tp1"
            )

    @classmethod
    def parse(cls, text: str) -> "Parallelism":
        """Return the parallelism written as ``tp2`` or ``tp2pp2``; raises ConfigError."""
        match = _PARALLELISM.match(text.strip())
        if match is None:
            raise ConfigError(f"{text!r} is not a parallelism", hint="write tp2 or tp2pp2")
        return cls(tp=int(match[1]), pp=int(match[2] or 1))

    @property
    def gpus(self) -> int:
        """GPUs of one replica."""
        return self.tp * self.pp

    def __str__(self) -> str:
        """Return the form that `parse` reads."""
        return f"tp{self.tp}" if self.pp == 1 else f"tp{self.tp}pp{self.pp}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillPoint:
    """Time to first token of one prompt alone on an engine."""

    isl: int
    ttft_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodePoint:
    """Time between tokens at an achieved batch (not the one asked for) and its KV tokens."""

    batch: float
    kv_tokens: float
    itl_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StartUp:
    """Time from asking for a replica until it is ready."""

    p50_seconds: float
    p90_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """How well one law tells what was measured, as shares of the measured times.

    *held_out* is the mean error at points that a fit was not given, *held_out_low* and
    *held_out_high* the 95 % interval of that mean over *points* such points. *confidence* is the
    widest interval of a point's repeats, as half of its width; None where points are not repeated.
    """

    held_out: float
    held_out_low: float
    held_out_high: float
    points: int
    confidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineProfile:
    """One parallelism: the points that were taken and the engine model fitted to them.

    An accuracy is None where it was not looked into.
    """

    parallelism: Parallelism
    engine: EngineModel
    prefill_points: tuple[PrefillPoint, ...] = ()
    decode_points: tuple[DecodePoint, ...] = ()
    start_up: StartUp | None = None
    prefill_accuracy: Accuracy | None = None
    decode_accuracy: Accuracy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What one model does on one kind of GPU. *gpu_price_per_hour* None is unknown."""

    name: str
    model: str
    gpu: str
    engine_version: str
    kind: Kind
    source: str
    licence: str
    engines: tuple[EngineProfile, ...]
    notes: tuple[str, ...] = ()
    gpu_price_per_hour: float | None = None

    def __post_init__(self) -> None:
        """Raise ProfileError without engines or with one listed twice."""
        names = [str(entry.parallelism) for entry in self.engines]
        if not names:
            raise ProfileError(f"profile {self.name}: has no engines", hint="list one at least")
        if len(set(names)) < len(names):
            raise ProfileError(
                f"profile {self.name}: a parallelism is listed twice in {', '.join(names)}",
                hint="merge their points into one entry",
            )

    @property
    def parallelisms(self) -> tuple[Parallelism, ...]:
        """The parallelisms it covers, in the order of the file."""
        return tuple(entry.parallelism for entry in self.engines)

    def at(self, parallelism: Parallelism | None = None) -> EngineProfile:
        """Return the entry for *parallelism*, the first one for None; raises ProfileError."""
        if parallelism is None:
            return self.engines[0]
        for entry in self.engines:
            if entry.parallelism == parallelism:
                return entry
        covered = ", ".join(map(str, self.parallelisms))
        raise ProfileError(
            f"profile {self.name}: parallelism {parallelism} is not covered (covered: {covered})",
            hint=f"use {self.engines[0].parallelism}",
        )

    def engine(self, parallelism: Parallelism | None = None) -> EngineModel:
        """Return the engine model for *parallelism*, the first one for None."""
        return self.at(parallelism).engine

    @classmethod
    def from_dict(cls, value: Mapping[str, object], *, source: str = "profile") -> "Profile":
        """Return the profile in a decoded JSON object; raises ProfileError naming the path.

        *source* is how an error calls the whole, such as the file's name.
        """
        from planner.core.profile_json import read_profile  # it builds the classes of this module

        return read_profile(value, source=source)

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form that `from_dict` reads."""
        from planner.core.profile_json import write_profile

        return write_profile(self)
