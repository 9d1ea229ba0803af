"""GPU-hours and money by day and by million tokens, against the static peak and foresight."""

import streamlit as st

from dashboards.drawing.palette import series
from dashboards.drawing.parts import Axis
from dashboards.drawing.planes import bars
from dashboards.drawing.timelines import steps
from dashboards.reading.source import Source
from dashboards.reading.window import Span
from dashboards.summaries.cost import (
    LINES,
    Costs,
    costs,
    day_rows,
    gpus_per_replica,
    known_price,
    table_rows,
)
from dashboards.summaries.fleet import gpu_rows
from dashboards.views.foresight import against_foresight
from dashboards.views.frame import as_of, chart, looks, page, tile
from planner.core.units import format_share


def show(source: Source, span: Span) -> None:
    """Show the costs of *span*."""
    window, _ = looks(source, span)
    as_of(window)
    price = _price(known_price(window.looks))
    spent = costs(window.looks, gpus_per_replica(source.runs()))
    if not spent.total.hours:
        st.info("A single decision spans no time: costs come with the next ones.",
                icon=":material/hourglass_empty:")  # fmt: skip
        return
    _tiles(spent, price)
    st.table(table_rows(spent, price=price), hide_index=True, border="horizontal")
    st.caption(
        f"{spent.total.hours:,.2f} hours in which a planner looked. Held: ready, starting and "
        "draining replicas. Decided: what the planner asked for. Static peak: the most that it "
        f"asked for in this time, {spent.peak_gpus} GPUs, standing all the time."
    )
    unit = "GPU-hours" if price is None else "money, $"
    spec = bars(day_rows(spent, price=price), series(*LINES), Axis(unit), x="day")
    chart(spec, "GPU-hours by day" if price is None else "Money by day")
    spec = steps(gpu_rows(window.looks), series("decided", "held"), "GPUs")
    chart(spec, "GPUs over time")
    against_foresight(source, window, price)


def _price(known: float | None) -> float | None:
    if known is not None:
        return known
    given = st.number_input("Price of a GPU per hour, $", 0.0, 1000.0, 0.0, 0.5, key="price",
                            width=240, bind="query-params",
                            help="The profile has none; 0 leaves money out.")  # fmt: skip
    return given or None


def _tiles(spent: Costs, price: float | None) -> None:
    total, static = spent.total, spent.static(spent.total)
    saved = 1 - total.decided / static if static else None
    with st.grid(columns="auto", min_column_width=150, key="tiles"):
        tile("GPU-hours held", f"{total.held:,.2f}")
        tile("Decided", "-" if saved is None else format_share(saved), "below the static peak")
        if price is not None:
            tile("Per day", f"${total.held * price / total.hours * 24:,.2f}")
            if total.tokens:
                tile("Per million tokens", f"${total.held * price / total.tokens * 1e6:,.3f}")


page("Cost", show)
