"""Draws a run as one SVG: the load, the replicas that followed it, and how the SLA was kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, PANEL, GAP, LEFT, RIGHT, TOP = 860, 96, 42, 56, 120, 34
# Okabe-Ito colours, told apart by every kind of colour vision; dashes repeat the difference.
STYLES = {
    "prefill": ("#0072B2", ""),
    "decode": ("#D55E00", "6 3"),
    "aggregated": ("#009E73", ""),
}
INK, FAINT = "#57606a", "#afb8c1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line: *points* of (seconds, value); *steps* holds each value until the next point."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: str = INK
    dash: str = ""
    steps: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One chart over the common time axis, from 0 to *top*, with an optional *target* line."""

    title: str
    series: Sequence[Series]
    top: float
    target: float | None = None


def replica_series(timeline: Mapping[str, Sequence[tuple[float, float]]]) -> list[Series]:
    """Return one step line a role."""
    return [
        Series(name=role, points=points, colour=STYLES[role][0], dash=STYLES[role][1], steps=True)
        for role, points in timeline.items()
    ]


def draw(panels: Sequence[Panel], *, seconds: float, title: str) -> str:
    """Return the SVG text of *panels* below each other, over 0 to *seconds*."""
    height = TOP + len(panels) * (PANEL + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="system-ui, sans-serif" font-size="12" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="20" font-size="14" fill="#1f2328">{escape(title)}</text>',
    ]
    for index, panel in enumerate(panels):
        parts += _panel(panel, top=TOP + 18 + index * (PANEL + GAP), seconds=seconds)
    parts.append(_time_axis(height - 10, seconds))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(panel: Panel, *, top: float, seconds: float) -> list[str]:
    """Return one chart: frame, title, scale, target and lines with their names at the right."""
    bottom, right = top + PANEL, WIDTH - RIGHT
    parts = [f'<text x="{LEFT}" y="{top - 6}" fill="{INK}">{escape(panel.title)}</text>']
    for share in (0.0, 0.5, 1.0):
        y = bottom - share * PANEL
        parts.append(f'<line x1="{LEFT}" x2="{right}" y1="{y}" y2="{y}" stroke="#eaeef2"/>')
        parts.append(
            f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end" fill="{INK}">'
            f"{panel.top * share:g}</text>"
        )
    if panel.target is not None:
        y = bottom - panel.target / panel.top * PANEL
        parts.append(
            f'<line x1="{LEFT}" x2="{right}" y1="{y}" y2="{y}" stroke="{FAINT}" '
            'stroke-dasharray="2 3"/>'
        )
    for index, series in enumerate(panel.series):
        parts.append(_line(series, bottom=bottom, top_value=panel.top, seconds=seconds))
        parts.append(
            f'<text x="{right + 8}" y="{top + 14 + 16 * index}" fill="{series.colour}">'
            f"{escape(series.name)}</text>"
        )
    return parts


def _line(series: Series, *, bottom: float, top_value: float, seconds: float) -> str:
    """Return the path of one series; values above the scale are drawn at its top."""
    scale = (WIDTH - LEFT - RIGHT) / seconds
    path: list[str] = []
    for at, value in series.points:
        x = LEFT + at * scale
        y = bottom - min(value, top_value) / top_value * PANEL
        if not path:
            path.append(f"M{x:.1f} {y:.1f}")
        else:
            path.append(f"H{x:.1f}V{y:.1f}" if series.steps else f"L{x:.1f} {y:.1f}")
    dash = f' stroke-dasharray="{series.dash}"' if series.dash else ""
    return (
        f'<path d="{"".join(path)}" fill="none" stroke="{series.colour}" stroke-width="2"{dash}/>'
    )


def _time_axis(y: float, seconds: float) -> str:
    """Return the labels of the common time axis, one every 30 seconds."""
    scale = (WIDTH - LEFT - RIGHT) / seconds
    return "".join(
        f'<text x="{LEFT + at * scale:.1f}" y="{y}" text-anchor="middle" fill="{INK}">{at} s</text>'
        for at in range(0, int(seconds) + 1, 30)
    )
