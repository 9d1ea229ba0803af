"""GPU-hours and money: held, decided on, and what the peak would take if it stood all the time."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from dashboards.reading.look import Look
from planner.core.encoding import decoded
from planner.core.policy import PolicyConfig
from planner.core.role import Role
from planner.errors import ConfigError
from planner.journal import Run

Rows = list[dict[str, object]]
GpusPerReplica = Mapping[int, Mapping[Role, int]]
"""GPUs of one replica, by run and role."""
LINES = ("held", "decided", "static peak")
_LONGEST_LOOKS = 5
"""A gap longer than so many usual ones is time that nobody looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """GPU-hours of some time. *tokens* are those generated in it."""

    hours: float
    """Hours in which somebody looked."""
    held: float
    decided: float
    tokens: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What the fleet took, in total and by day; *peak_gpus* is the most that was decided on."""

    total: Spent
    days: Mapping[str, Spent]
    peak_gpus: int

    def static(self, spent: Spent) -> float:
        """Return the GPU-hours if the peak stood all of that time."""
        return self.peak_gpus * spent.hours


def gpus_per_replica(runs: Sequence[Run]) -> dict[int, dict[Role, int]]:
    """Return the GPUs of one replica in each of *runs*, as far as they recorded it."""
    known = {}
    for run in runs:
        if isinstance(run.config, Mapping) and run.config.get("policy"):
            # Settings of another version say nothing here.
            with suppress(ValueError, ConfigError):
                config = decoded(PolicyConfig, run.config["policy"])
                known[run.id] = {role: config.gpus_per_replica(role) for role in config.roles}
    return known


def costs(looks: Sequence[Look], each: GpusPerReplica) -> Costs:
    """Return what *looks*, oldest first, add up to; each counts until the next one.

    Draining replicas hold their GPUs, too. Time between looks that are far apart is left out.
    """
    gaps = sorted(after.at - before.at for before, after in pairwise(looks))
    longest = gaps[len(gaps) // 2] * _LONGEST_LOOKS if gaps else 0.0
    days: dict[str, list[float]] = {}
    for before, after in pairwise(looks):
        seconds = after.at - before.at
        if not 0 < seconds <= longest or before.gpus is None:
            continue
        held = before.gpus + _draining(before, each)
        decided = before.gpus if before.gpus_desired is None else before.gpus_desired
        rate = _tokens_per_second(after)
        sums = days.setdefault(_day(before.at), [0.0] * 4)
        for place, value in enumerate((1.0, held, decided, rate * 3600)):
            sums[place] += value * seconds / 3600
    told = {day: _spent(sums) for day, sums in days.items()}
    total = _spent([sum(column) for column in zip(*days.values(), strict=True)] or [0.0] * 4)
    return Costs(
        total=total, days=told, peak_gpus=max((look.gpus_desired or 0 for look in looks), default=0)
    )


def _spent(sums: Sequence[float]) -> Spent:
    hours, held, decided, tokens = sums
    return Spent(hours=hours, held=held, decided=decided, tokens=tokens)


def _draining(look: Look, each: GpusPerReplica) -> int:
    of = each.get(look.run, {})
    return sum((seen.draining or 0) * of.get(role, 1) for role, seen in look.roles.items())


def _tokens_per_second(look: Look) -> float:
    return look.traffic.osl_sum / look.traffic.seconds if look.traffic else 0.0


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, tz=UTC).astimezone().strftime("%b %d")


def day_rows(of: Costs, *, price: float | None) -> Rows:
    """Return GPU-hours by day, or money where there is a *price* of a GPU-hour."""
    factor = price or 1.0
    return [
        {"x": day, "series": name, "value": round(value * factor, 4)}
        for day, spent in of.days.items()
        for name, value in zip(LINES, (spent.held, spent.decided, of.static(spent)), strict=True)
    ]


def table_rows(of: Costs, *, price: float | None) -> Rows:
    """Return a row a figure, with what was held, decided on, and the static peak as columns."""
    spent = of.total
    hours = dict(zip(LINES, (spent.held, spent.decided, of.static(spent)), strict=True))
    rows = _amounts("GPU-hours", hours, spent, told="{:,.2f}")
    if price is not None:
        money = {name: price * value for name, value in hours.items()}
        rows += _amounts("$", money, spent, told="${:,.2f}")
    return rows


def _amounts(unit: str, amounts: Mapping[str, float], spent: Spent, *, told: str) -> Rows:
    def row(figure: str, times: float | None) -> dict[str, object]:
        return {
            "figure": figure,
            **{
                name: "unknown" if times is None else told.format(amount * times)
                for name, amount in amounts.items()
            },
        }

    return [
        row(unit, 1.0),
        row(f"{unit} a day", 24 / spent.hours if spent.hours else None),
        row(f"{unit} a million tokens", 1e6 / spent.tokens if spent.tokens else None),
    ]


def known_price(looks: Sequence[Look]) -> float | None:
    """Return the price of a GPU-hour that the latest plan was made with; None without one."""
    for look in reversed(looks):
        if look.cost_desired is not None and look.gpus_desired:
            return look.cost_desired / look.gpus_desired
    return None
