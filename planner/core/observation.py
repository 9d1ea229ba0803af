"""What was seen of a deployment at one moment: the only input of `decide` that changes.

Sources build it from live metrics, the simulator from its own state. Unknown is None, never 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from planner.core.role import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """One role's replicas by state: ready ones serve, starting ones will, draining ones finish."""

    ready: int = 0
    starting: int = 0
    draining: int = 0

    @property
    def current(self) -> int:
        """Replicas that serve or will serve: what a new desired number is compared with."""
        return self.ready + self.starting

    @property
    def provisioned(self) -> int:
        """Replicas that hold GPUs, which is what GPU-hours count."""
        return self.ready + self.starting + self.draining


_NO_REPLICAS = Replicas()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """When requests arrived within an interval: moments of short bins, oldest first.

    A TTFT target is kept or missed within seconds, so the mean of an interval hides what matters.
    The last bin ends when the observation was made; bins without arrivals are zeros.
    """

    bin_seconds: float
    counts: tuple[int, ...]
    isl: tuple[int, ...]
    """Sum of the prompts' lengths of each bin."""
    isl_squared: tuple[int, ...]
    """Sum of their squares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSums:
    """What a role's engines computed in an interval, summed over their steps.

    The step-time laws are linear in these sums, so the model's time for them is exact: compared
    with *seconds* it tells how far the engines are from their profile.
    """

    seconds: float
    """Time that the steps took."""
    steps: int
    prefill_steps: int
    """Steps with prompt tokens in them."""
    decoded: int
    """Requests given a token, summed over steps: the tokens generated."""
    kv_tokens: int
    """Tokens read from the KV cache by the decoding requests of each step."""
    prefilled: int
    """Prompt tokens computed."""
    prefilled_squared: int
    """Sum of end^2 - start^2 over the chunks of prompts computed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What the frontends counted during the last *seconds*: arrivals, and results behind them.

    Moments instead of means: with the sum of isl and of isl squared the prefill work of the
    interval, sum(a + b*n + c*n^2), is exact for any mix of lengths. Times in seconds.
    """

    seconds: float
    arrived: int
    isl_sum: float
    isl_squared_sum: float
    finished: int
    osl_sum: float
    context_osl_sum: float = 0.0
    """Sum over finished requests of (isl + osl/2) * osl: contexts weighted by tokens."""
    failed: int = 0
    within_sla: int | None = 0
    """Finished requests with TTFT and mean ITL both inside the targets; None where nobody knows."""
    ttft_sum: float = 0.0
    ttft_count: int = 0
    itl_sum: float = 0.0
    itl_count: int = 0
    arrivals: Arrivals | None = None
    """The same arrivals in short bins; None from a source that cannot tell."""

    @property
    def ended(self) -> int:
        """Requests that finished or failed: what attainment is a share of."""
        return self.finished + self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles:
    """What half of the requests, 95 % and 99 % did not exceed, in seconds."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """How the latencies of an interval are spread; None where not everybody tells, or none was.

    Read off histograms, so a quantile is as fine as their buckets; above the last edge it is that
    edge, which is the least that it can be. For whoever watches: no decision depends on it.
    """

    ttft: Quantiles | None = None
    itl: Quantiles | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleLoad:
    """What one role's engines say about themselves, summed over its ready replicas."""

    waiting: int | None = None
    """Requests not yet in a batch: the prefill queue's for prefill, the engines' own otherwise."""
    waiting_tokens: int | None = None
    """Their uncached prompt tokens."""
    running: int | None = None
    kv_usage: float | None = None
    """Share of KV blocks in use, 0 to 1, mean over replicas."""
    oldest_wait_seconds: float | None = None
    steps: StepSums | None = None
    """Since the last observation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One look at the deployment. *at* is in seconds on the clock that `decide` is told."""

    at: float
    fleet: Mapping[Role, Replicas]
    traffic: Traffic | None = None
    load: Mapping[Role, RoleLoad] = field(default_factory=dict)
    age_seconds: float = 0.0
    """Age of the oldest figure in it."""
    in_flight: int | None = None
    """Requests inside the frontends."""
    latencies: Latencies | None = None
    """Of the interval that *traffic* is of; None from a source that cannot tell."""

    def replicas(self, role: Role) -> Replicas:
        """Return the replicas of *role*; none exist of a role that is not in the fleet."""
        return self.fleet.get(role, _NO_REPLICAS)
