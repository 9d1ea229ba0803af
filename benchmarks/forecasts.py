"""Every forecaster against the last value: errors, and GPU-hours at 0.7 % misses.

`python benchmarks/forecasts.py [--fitted]` writes results/forecasts.json and prints the tables of
docs/concepts/forecasts.md. ARIMA and ETS need the extra ``forecast``, and minutes for a series of
some hours: days are left to the others.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from statistics import fmean

import numpy as np
from forecast_score import Figures, figures, static_hours
from forecast_series import RECORDED, TICK_SECONDS, Demand, Floats, recorded, two_days, working_day
from results_file import RESULTS, write

from planner.core.forecast import MEMBERS, Forecasts, Horizon, Member, expected, seen
from planner.errors import ConfigError
from planner.forecasting import FittedModel, fitted_forecasts

TUNED_ON = ("Azure conversation x40", "two days, seed 0")
# Seeds 1 to 3 of the weekday were looked at while windows were chosen.
SEEDS = {"weekday": (4, 5, 6), "two days": (1, 2, 3)}
LEADS = {"95 s": 19, "15 min": 180}
# ARIMA and ETS: a fit a minute, of series up to 7 hours.
_TICKS_A_FIT = 12
_MOST_FITTED_TICKS = 5000
AMONG: dict[str, Sequence[Member]] = {
    **{str(member): (member,) for member in MEMBERS if member is not Member.WEEKLY},
    "all, by past errors": MEMBERS,
}


def by_members(demand: Demand, lead_ticks: int) -> dict[str, Floats]:
    """Return the forecasts of every member of the core, and of all together, at each tick."""
    lead = lead_ticks * TICK_SECONDS
    horizon = Horizon.of(lead_seconds=lead, interval_seconds=TICK_SECONDS)
    found: dict[str, list[float]] = {name: [] for name in AMONG}
    state = Forecasts()
    for tick, (value, weight) in enumerate(
        zip(demand.workers.tolist(), demand.requests.tolist(), strict=True)
    ):
        at = (tick + 1) * TICK_SECONDS
        state = seen(
            state, at=at, seconds=TICK_SECONDS, value=value, weight=weight, horizon=horizon
        )
        for name, among in AMONG.items():
            found[name].append(expected(state, horizon=horizon, among=among))
    return {name: np.array(values) for name, values in found.items()}


def by_fits(demand: Demand, lead_ticks: int) -> dict[str, Floats]:
    """Return the forecasts of the fitted models at each tick; none of a series that is long."""
    values = demand.workers.tolist()
    if len(values) > _MOST_FITTED_TICKS:
        return {}
    return {
        str(model): np.array(fitted_forecasts(values, model, steps=lead_ticks, every=_TICKS_A_FIT))
        for model in FittedModel
    }


def series() -> Iterator[tuple[str, Demand]]:
    """Yield the name of each series, the same for seeds of one kind, and its demand."""
    for name in RECORDED:
        demand = recorded(name)
        if demand is None:
            print(f"{name}: skipped, its file is not in ../shared/data/traces")
        else:
            yield name, demand
    for seed in SEEDS["weekday"]:
        demand = working_day(seed)
        if demand is not None:
            yield demand.name, demand
    yield TUNED_ON[1], two_days(0)
    for seed in SEEDS["two days"]:
        yield "two days", two_days(seed)


def judged(demand: Demand, lead_ticks: int, *, fitted: bool) -> dict[str, Figures]:
    """Return every forecaster's figures on *demand*."""
    forecasts = by_members(demand, lead_ticks)
    if fitted:
        forecasts |= by_fits(demand, lead_ticks)
    return {
        name: figures(demand, values, lead_ticks=lead_ticks) for name, values in forecasts.items()
    }


def mean_of(rows: Sequence[Figures]) -> dict[str, float | None]:
    """Return the mean of each figure over the seeds; None where one is None."""
    columns = {name: [asdict(row)[name] for row in rows] for name in asdict(rows[0])}
    return {
        name: None if None in values else round(fmean(values), 4)
        for name, values in columns.items()
    }


def table(lead: str, result: dict[str, dict[str, object]]) -> str:
    """Return one lead's results as a Markdown table: a row a forecaster, a column a series."""
    names = list(result)
    lines = [
        f"| forecasts of {lead} | " + " | ".join(names) + " |",
        "| --- |" + " --- |" * len(names),
    ]
    for name in dict.fromkeys(name for rows in result.values() for name in rows):
        cells = [_cell(rows[name]) if name in rows else "-" for rows in result.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(row: object) -> str:
    if isinstance(row, float):
        return f"{row:.1f}"
    assert isinstance(row, dict)
    hours = "not reached" if row["gpu_hours"] is None else f"**{row['gpu_hours']:.1f}**"
    return f"{hours} ({row['rmse']:.3f}, {row['pinball']:.4f}, {100 * row['misses']:.1f} %)"


def main() -> None:
    """Measure, write results/forecasts.json and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fitted", action="store_true", help="ARIMA and ETS, too")
    fitted: bool = parser.parse_args().fitted
    document: dict[str, object] = {"tuned_on": TUNED_ON, "seeds": SEEDS}
    demands = list(series())
    for lead, ticks in LEADS.items():
        result: dict[str, dict[str, object]] = {}
        for name in dict.fromkeys(name for name, _ in demands):
            alike = [demand for other, demand in demands if other == name]
            if min(len(demand.workers) for demand in alike) < 15 * ticks:
                continue
            print(f"{lead}: {name}", flush=True)
            found = [judged(d, ticks, fitted=fitted and ticks == 19) for d in alike]
            result[name] = {f: mean_of([one[f] for one in found]) for f in found[0]}
            result[name]["best fixed fleet"] = round(fmean(map(static_hours, alike)), 4)
        document[lead] = result
        print(table(lead, result), flush=True)
    write(RESULTS / "forecasts.json", document)


if __name__ == "__main__":
    try:
        main()
    except ConfigError as error:
        print(f"error: {error}")
        raise SystemExit(2) from None
