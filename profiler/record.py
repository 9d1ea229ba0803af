"""What was asked of an engine and what it answered: the unit that is stored and fitted."""

from dataclasses import dataclass
from math import sqrt
from statistics import median, quantiles

from planner.core.profile import DecodePoint, Parallelism, PrefillPoint
from profiler.ports import DecodeSample, EngineFacts, PrefillSample, TransferSample

Sample = PrefillSample | DecodeSample

# Student's t at 97.5 % for 1, 2, ... degrees of freedom; the normal's beyond.
_T = (12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
      2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086)  # fmt: skip
_NORMAL = 1.96
# An interval wider than this is not the engine's scatter but what it shares its machine with.
_DISTURBED = 0.1
_FOR_QUARTILES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillAsk:
    """A prompt of *isl* tokens alone on the engine."""

    isl: int

    def __str__(self) -> str:
        """Return the form that progress shows."""
        return f"prefill isl={self.isl}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeAsk:
    """*concurrency* requests that hold about *context* tokens each."""

    concurrency: int
    context: int

    def __str__(self) -> str:
        """Return the form that progress shows."""
        return f"decode concurrency={self.concurrency} context={self.context}"


Ask = PrefillAsk | DecodeAsk


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRecord:
    """How an engine started: *facts*, or the *failure* in one line."""

    parallelism: Parallelism
    facts: EngineFacts | None = None
    failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PointRecord:
    """One point: the samples that count, and beside them those that do not.

    *failure* says in one line why there is no mean; the samples before it are kept.
    """

    parallelism: Parallelism
    ask: Ask
    samples: tuple[Sample, ...] = ()
    first_passes: tuple[Sample, ...] = ()
    outliers: tuple[Sample, ...] = ()
    failure: str | None = None

    @property
    def half_width(self) -> float | None:
        """Half of the 95 % interval of the mean as a share of it; None below two samples."""
        return half_width([seconds(sample) for sample in self.samples])

    @property
    def prefill_point(self) -> PrefillPoint | None:
        """The middle of its prompts; None of a decode point or a failed one."""
        samples = [s for s in self.samples if isinstance(s, PrefillSample)]
        if self.failure is not None or not samples:
            return None
        return PrefillPoint(
            isl=round(_mean([s.isl for s in samples])),
            ttft_seconds=_middle([s.ttft_seconds for s in samples]),
        )

    @property
    def decode_point(self) -> DecodePoint | None:
        """The middle of its stretches at the mean load; None of a prefill or a failed point."""
        samples = [s for s in self.samples if isinstance(s, DecodeSample)]
        if self.failure is not None or not samples:
            return None
        return DecodePoint(
            batch=_mean([s.batch for s in samples]),
            kv_tokens=_mean([s.kv_tokens for s in samples]),
            itl_seconds=_middle([s.itl_seconds for s in samples]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRecord:
    """How fast KV moves between two engines of *parallelism*, or the *failure* in one line."""

    parallelism: Parallelism
    samples: tuple[TransferSample, ...] = ()
    failure: str | None = None

    @property
    def bytes_per_second(self) -> float | None:
        """The median over its prompts, of one GPU; None where it failed."""
        rates = [sample.bytes / sample.seconds for sample in self.samples]
        failed = self.failure is not None or not rates
        return None if failed else median(rates) / self.parallelism.gpus


def seconds(sample: Sample) -> float:
    """Return the time that a sample measured."""
    return sample.ttft_seconds if isinstance(sample, PrefillSample) else sample.itl_seconds


def half_width(values: list[float], *, least_deviation: float = 0.0) -> float | None:
    """Return half of the 95 % interval of the mean of *values* as a share of it.

    None below two values, which have no spread. *least_deviation* is that of values like these, as
    a share of their mean.
    """
    deviation = relative_deviation(values)
    if deviation is None:
        return None
    return student(len(values) - 1) * max(deviation, least_deviation) / sqrt(len(values))


def is_disturbed(values: list[float]) -> bool:
    """Return whether *values* scatter so widely that an engine is not alone on its machine."""
    width = half_width(values)
    return len(values) >= _FOR_QUARTILES and width is not None and width > _DISTURBED


def relative_deviation(values: list[float]) -> float | None:
    """Return the standard deviation as a share of the mean; None below two values."""
    if len(values) < 2:
        return None
    mean = _mean(values)
    return sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1)) / mean


def student(freedom: int) -> float:
    """Return Student's t at 97.5 % for that many degrees of freedom."""
    return _T[freedom - 1] if freedom <= len(_T) else _NORMAL


def _middle(values: list[float]) -> float:
    """Return the mean; of values that others disturbed the lower quartile.

    Whoever shares the machine can only make an engine slower.
    """
    return quantiles(values, n=4)[0] if is_disturbed(values) else _mean(values)


def _mean(values: list[float] | list[int]) -> float:
    return sum(values) / len(values)
