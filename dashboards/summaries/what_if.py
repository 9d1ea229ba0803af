"""What would happen if: the production decision on a load, on the simulator's clock."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from planner.core.policy import AGGREGATED, DISAGGREGATED, Bounds, PolicyConfig
from planner.core.profile import Profile
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.units import format_duration
from planner.errors import ConfigError
from planner.sim.backtest import backtest, opening_fleet, scenario
from planner.sim.result import SimResult
from planner.sim.static import best_static
from planner.traces import Trace, amplify, open_trace, sine

Rows = list[dict[str, object]]

MOST_REQUESTS = 200_000
FRONTIER_HEADROOMS = (0.5, 0.7, 0.85, 1.2, 1.5)
BUNDLED = "bundled:azure-conv"
_SEED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """A load that swings from *low_share* of *peak_rps* up to it and back every *period*."""

    peak_rps: float
    low_share: float
    period_seconds: float
    duration_seconds: float
    isl: int
    osl: int

    def trace(self) -> Trace:
        """Return its requests; raises ConfigError for more than `MOST_REQUESTS`."""
        requests = self.peak_rps * (1 + self.low_share) / 2 * self.duration_seconds
        if requests > MOST_REQUESTS:
            raise ConfigError(
                f"a load of {requests:,.0f} requests: at most {MOST_REQUESTS:,} are simulated here",
                hint="choose a lower rate or a shorter time, or run planner simulate",
            )
        return sine(
            (self.isl, self.osl),
            seed=_SEED,
            low=self.peak_rps * self.low_share,
            high=self.peak_rps,
            period=self.period_seconds,
            duration=self.duration_seconds,
        )


def recorded(source: str, *, times: int) -> Trace:
    """Return the trace *source*, *times* as heavy; raises TraceError, ConfigError if too long."""
    trace = open_trace(source)
    if len(trace) * times > MOST_REQUESTS:
        raise ConfigError(
            f"a load of {len(trace) * times:,} requests: at most {MOST_REQUESTS:,} are simulated",
            hint="upload a part of the trace, or run planner simulate",
        )
    return amplify(trace, times, rng=np.random.default_rng(_SEED)) if times > 1 else trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One side of a comparison. A target of 0 is not judged; 0 GPUs are no budget."""

    ttft_ms: float
    itl_ms: float
    attainment: float
    cold_start_seconds: float
    max_gpus: int
    headroom: float
    aggregated: bool = False

    @property
    def sla(self) -> Sla:
        """The targets; raises ConfigError without any."""
        return Sla(
            ttft_seconds=self.ttft_ms / 1e3 or None,
            itl_seconds=self.itl_ms / 1e3 or None,
            attainment=self.attainment,
        )

    @property
    def policy(self) -> PolicyConfig:
        """How to decide; raises ConfigError."""
        roles = AGGREGATED if self.aggregated else DISAGGREGATED
        return PolicyConfig(
            sla=self.sla,
            bounds={role: Bounds() for role in Role if role in roles},
            cold_start_seconds=self.cold_start_seconds,
            max_gpus=self.max_gpus or None,
            headroom=self.headroom,
        )

    def flags(self, profile: str) -> str:
        """Return the command that observes with these settings."""
        budget = f" --max-gpus {self.max_gpus}" if self.max_gpus else ""
        return (
            f"planner run --observe --sla {self.sla} --profile {profile}"
            f" --cold-start {format_duration(self.cold_start_seconds)}{budget}"
            f" --headroom {self.headroom:g}"
        )

    def toml(self, profile: str) -> str:
        """Return the same as a configuration file, for ``--config``."""
        lines = [
            f'sla = "{self.sla}"',
            f'profile = "{profile}"',
            f'cold_start = "{format_duration(self.cold_start_seconds)}"',
            f"headroom = {self.headroom:g}",
            "observe = true",
        ]
        if self.max_gpus:
            lines.append(f"max_gpus = {self.max_gpus}")
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a load. Latencies are p50, p95 and p99 in seconds, None if none was."""

    requests: int
    completed: int
    attainment: float
    gpu_hours: float
    peak_gpus: int
    scale_actions: int
    ttft: tuple[float, float, float] | None
    itl: tuple[float, float, float] | None
    replicas: Mapping[Role, Sequence[tuple[float, int, int]]]
    """(seconds, ready, ready and starting) of each role whenever one changed."""


def outcome(setting: Setting, profile: Profile, trace: Trace) -> Outcome:
    """Return what becomes of *trace* when `decide` scales as *setting* says.

    Raises SlaInfeasible where no number of replicas would do, ConfigError and TraceError.
    """
    config = setting.policy
    fleet = scenario(config, profile, opening_fleet(trace, config, profile))
    return _outcome(backtest(trace, config, profile, fleet=fleet))


def static_outcome(setting: Setting, profile: Profile, trace: Trace) -> Outcome:
    """Return what the cheapest fleet that never changes would bring; raises as `outcome`."""
    config = setting.policy
    fleet = scenario(config, profile, opening_fleet(trace, config, profile))
    return _outcome(best_static(trace, fleet))


def frontier(setting: Setting, profile: Profile, trace: Trace) -> list[tuple[float, Outcome]]:
    """Return outcomes with less and more headroom than *setting*'s; raises as `outcome`."""
    return [
        (factor, outcome(replace(setting, headroom=setting.headroom * factor), profile, trace))
        for factor in FRONTIER_HEADROOMS
    ]


def _outcome(result: SimResult) -> Outcome:
    return Outcome(
        requests=result.requests,
        completed=result.completed,
        attainment=result.attainment,
        gpu_hours=result.gpu_seconds / 3600,
        peak_gpus=result.peak_gpus,
        scale_actions=result.scale_actions,
        ttft=_percentiles(result.ttft_seconds),
        itl=_percentiles(result.itl_seconds),
        replicas={
            role: [
                (change.at, change.fleet[role].ready, change.fleet[role].current)
                for change in result.changes
            ]
            for role in result.gpus_per_replica
        },
    )


def _percentiles(seconds: npt.NDArray[np.float64]) -> tuple[float, float, float] | None:
    measured = seconds[np.isfinite(seconds)]
    if not len(measured):
        return None
    p50, p95, p99 = np.percentile(measured, (50, 95, 99))
    return float(p50), float(p95), float(p99)


def comparison_rows(outcomes: Mapping[str, Outcome], *, price: float | None) -> Rows:
    """Return a row for each figure, a column for each side; *price* is of a GPU-hour."""
    cost: dict[str, object] = {
        side: "no price" if price is None else f"${one.gpu_hours * price:,.2f}"
        for side, one in outcomes.items()
    }
    rows: Rows = [
        {"figure": name, **{side: tell(one) for side, one in outcomes.items()}}
        for name, tell in _FIGURES
    ]
    return [*rows[:2], {"figure": "cost", **cost}, *rows[2:]]


def _told(seconds: tuple[float, float, float] | None) -> str:
    return "unknown" if seconds is None else " / ".join(map(format_duration, seconds))


_FIGURES: tuple[tuple[str, Callable[[Outcome], str]], ...] = (
    ("attainment", lambda one: f"{one.attainment:.2%}"),
    ("GPU-hours", lambda one: f"{one.gpu_hours:.2f}"),
    ("most GPUs at once", lambda one: str(one.peak_gpus)),
    ("changes of the fleet", lambda one: str(one.scale_actions)),
    ("TTFT p50 / p95 / p99", lambda one: _told(one.ttft)),
    ("ITL p50 / p95 / p99", lambda one: _told(one.itl)),
    ("requests completed", lambda one: f"{one.completed:,} of {one.requests:,}"),
)


def fleet_rows(outcomes: Mapping[str, Outcome], role: Role) -> Rows:
    """Return the replicas of *role* over minutes, starting ones included, a line a side."""
    return [
        {"x": round(at / 60, 3), "series": side, "value": current}
        for side, one in outcomes.items()
        for at, _, current in one.replicas.get(role, ())
    ]


def plane_rows(points: Mapping[str, Sequence[tuple[str, Outcome]]]) -> Rows:
    """Return attainment over GPU-hours: for each series the (what, outcome) pairs of it."""
    return [
        {"x": one.gpu_hours, "value": one.attainment, "series": name, "told": told}
        for name, pairs in points.items()
        for told, one in pairs
    ]
