"""A steady load, by its rate and the moments of its lengths."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import exp, log, sqrt
from statistics import NormalDist

from planner.errors import ConfigError

_NORMAL = NormalDist()
# Shares of requests, finer towards the long prompts: that is where a TTFT target is lost.
_STRATA = (0.25, 0.25, 0.25, 0.15, 0.05, 0.03, 0.01, 0.005, 0.004, 0.001)


def _deviations() -> tuple[float, ...]:
    """Return the standard normal quantile at the middle of each stratum."""
    ends = (0.0, *accumulate(_STRATA))
    return tuple(
        _NORMAL.inv_cdf(below + share / 2) for below, share in zip(ends, _STRATA, strict=False)
    )


_DEVIATIONS = _deviations()


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Requests a second and their mean lengths in tokens; raises ConfigError when out of range.

    *isl_squared* is the mean of isl^2 and *context_osl* the mean of (isl + osl/2) * osl; left out,
    every request has the mean lengths.
    """

    rate_rps: float
    isl: float
    osl: float
    isl_squared: float | None = None
    context_osl: float | None = None

    def __post_init__(self) -> None:
        """Raise ConfigError for a negative rate or a length below one token."""
        if self.rate_rps < 0:
            raise ConfigError(f"rate {self.rate_rps:g}/s: must be at least 0", hint="--rate 20/s")
        for name, tokens in (("isl", self.isl), ("osl", self.osl)):
            if not tokens >= 1:
                raise ConfigError(f"{name} {tokens:g}: must be at least 1 token", hint=f"--{name}")

    @property
    def isl_variance(self) -> float:
        """Variance of the prompt lengths in tokens^2."""
        return max(0.0, (self.isl_squared or 0.0) - self.isl**2)

    @property
    def isl_mean_square(self) -> float:
        """Mean of isl^2."""
        return self.isl**2 + self.isl_variance

    @property
    def context_tokens(self) -> float:
        """KV tokens of a request while it decodes, averaged over its tokens."""
        return self.decode_token_contexts / self.osl

    @property
    def decode_token_contexts(self) -> float:
        """Sum over a request's output tokens of the context that each was decoded with."""
        if self.context_osl is not None:
            return self.context_osl
        return (self.isl + self.osl / 2) * self.osl

    def isl_quantile(self, share: float) -> float:
        """Return the prompt length that *share* of requests stay below, lengths being lognormal.

        A lognormal through mean and variance is close for conversations: with mean 12035 and
        variance 1.43 squared means, p50 6900 and p99 80 k where a trace has 6909 and 85 k.
        """
        return _lognormal(self.isl, self.isl_mean_square, share)

    def isl_strata(self) -> tuple[tuple[float, float], ...]:
        """Return (share of requests, prompt length) pairs that stand for all prompts."""
        return _strata(self.isl, self.isl_mean_square)

    @property
    def isl_longest(self) -> float:
        """The longest of those prompts."""
        return _stratum(self.isl, self.isl_mean_square, _DEVIATIONS[-1])


@lru_cache(maxsize=256)
def _strata(mean: float, mean_square: float) -> tuple[tuple[float, float], ...]:
    if mean_square <= mean**2:
        return ((1.0, mean),)
    return tuple(
        [
            (share, _stratum(mean, mean_square, z))
            for share, z in zip(_STRATA, _DEVIATIONS, strict=True)
        ]
    )


def _stratum(mean: float, mean_square: float, deviations: float) -> float:
    """Return the length that lies *deviations* above the middle of the lognormal."""
    if mean_square <= mean**2:
        return mean
    spread = log(mean_square / mean**2)
    return mean * exp(sqrt(spread) * deviations - spread / 2)


def _lognormal(mean: float, mean_square: float, share: float) -> float:
    """Return the quantile at *share* of the lognormal through a mean and a mean square."""
    spread = log(mean_square / mean**2)
    return mean * exp(sqrt(spread) * _NORMAL.inv_cdf(share) - spread / 2)
