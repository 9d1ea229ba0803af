"""Colours and symbols: told apart by everybody, in light and dark, and also without colour."""

from planner.charts.svg import Position, outline

SLOTS = 7
"""Colours and symbols before they repeat."""

# Okabe and Ito's, without the yellow, which a white page swallows; the last one is the ink.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "currentColor")
_DARK_COLOURS = ("#3d95dd", "#ee7733", "#1fbf92", "#dd8fbb", "#a5dcff", "#f0e442")
_FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif"

STYLE = (
    f".chart{{color:#24292f;background:#fff;font:12px {_FONT}}}"
    ".chart text{fill:currentColor}.chart .dim{fill:#57606a}.chart .strong{font-weight:600}"
    ".chart .over{paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}"
    ".chart .page{fill:#fff}.chart .grid{stroke:#d8dee4;stroke-width:1}"
    ".chart .axis{stroke:#8c959f;stroke-width:1}"
    ".chart .level{stroke:currentColor;stroke-width:1.2;stroke-dasharray:6 4}"
    ".chart .line{fill:none;stroke-width:1.8;stroke-linejoin:round}"
    ".chart .dashed{stroke-dasharray:4 3;stroke-width:1.3}.chart .band{stroke:none;opacity:.18}"
    ".chart .near{stroke:transparent;pointer-events:stroke}"
    ".chart .near:hover{stroke:#8c959f88}"
    + "".join(
        f".chart .s{slot}{{stroke:{colour}}}.chart .f{slot}{{fill:{colour}}}"
        for slot, colour in enumerate(_COLOURS)
    )
    + "@media(prefers-color-scheme:dark){.chart{color:#e6edf3;background:#0d1117}"
    ".chart .dim{fill:#9198a1}.chart .page{fill:#0d1117}.chart .over{stroke:#0d1117}"
    ".chart .grid{stroke:#2b323b}"
    ".chart .axis{stroke:#656c76}"
    + "".join(
        f".chart .s{slot}{{stroke:{colour}}}.chart .f{slot}{{fill:{colour}}}"
        for slot, colour in enumerate(_DARK_COLOURS)
    )
    + "}"
)
"""The style sheet of every chart; also a page around charts may take its colours from it."""

_RADIUS = 4.5
_SYMBOLS = (
    ((-1, -1), (1, -1), (1, 1), (-1, 1)),
    ((0, -1.2), (1.2, 0.9), (-1.2, 0.9)),
    ((0, -1.35), (1.35, 0), (0, 1.35), (-1.35, 0)),
    ((0, 1.2), (1.2, -0.9), (-1.2, -0.9)),
    ((-0.5, -1.2), (0.5, -1.2), (1.2, -0.5), (1.2, 0.5),
     (0.5, 1.2), (-0.5, 1.2), (-1.2, 0.5), (-1.2, -0.5)),
    ((-1.3, -0.7), (1.3, -0.7), (1.3, 0.7), (-1.3, 0.7)),
)  # fmt: skip


def symbol(slot: int, at: Position) -> str:
    """Return path data of the symbol of *slot*, centred *at*: a circle first, then corners."""
    x, y = at
    if slot % SLOTS == 0:
        across = f"{2 * _RADIUS:g}"
        round_trip = f"a{_RADIUS} {_RADIUS} 0 1 0 {across} 0a{_RADIUS} {_RADIUS} 0 1 0 -{across} 0"
        return f"M{x - _RADIUS:.1f} {y:.1f}{round_trip}Z"
    corners = _SYMBOLS[slot % SLOTS - 1]
    return outline((x + dx * _RADIUS, y + dy * _RADIUS) for dx, dy in corners)
