"""SVG as text: elements, numbers and paths, written the same way every time."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from xml.sax.saxutils import escape, quoteattr

Position = tuple[float, float]
Positions = Sequence[Position | None]
"""Where a line goes, in pixels; None lifts the pen."""


def number(value: float) -> str:
    """Return *value* to a tenth of a pixel: 12.34 -> "12.3", 5.0 -> "5"."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def element(name: str, *children: str, **attributes: str | float) -> str:
    """Return an element; ``class_`` and ``text_anchor`` become class and text-anchor.

    Children are markup already: text goes through `words` or `hint`.
    """
    told = "".join(
        f" {key.rstrip('_').replace('_', '-')}={_quoted(value)}"
        for key, value in attributes.items()
    )
    inside = "".join(children)
    return f"<{name}{told}>{inside}</{name}>" if inside else f"<{name}{told}/>"


def words(text: str, at: Position, *, class_: str = "", anchor: str = "start") -> str:
    """Return *text* on the baseline *at*; anchor is start, middle or end."""
    attributes: dict[str, str | float] = {"x": at[0], "y": at[1]}
    if anchor != "start":
        attributes["text_anchor"] = anchor
    if class_:
        attributes["class_"] = class_
    return element("text", escape(text), **attributes)


def hint(text: str) -> str:
    """Return the title that shows while the pointer rests on the element around it."""
    return element("title", escape(text))


def line(positions: Positions) -> str:
    """Return path data that joins *positions*."""
    return "".join(
        _start(run) + "".join(f"L{number(x)} {number(y)}" for x, y in run[1:])
        for run in _runs(positions)
    )


def stairs(positions: Positions) -> str:
    """Return path data that keeps each height until the next position."""
    return "".join(
        _start(run) + "".join(_stair(before, after) for before, after in pairwise(run))
        for run in _runs(positions)
    )


def outline(positions: Iterable[Position]) -> str:
    """Return path data of the closed shape through *positions*."""
    return line(list(positions)) + "Z"


def _stair(before: Position, after: Position) -> str:
    rise = "" if number(before[1]) == number(after[1]) else f"V{number(after[1])}"
    return f"H{number(after[0])}{rise}"


def _start(run: Sequence[Position]) -> str:
    return f"M{number(run[0][0])} {number(run[0][1])}"


def _runs(positions: Positions) -> Iterator[list[Position]]:
    """Yield what lies between the gaps."""
    run: list[Position] = []
    for position in (*positions, None):
        if position is not None:
            run.append(position)
        elif run:
            yield run
            run = []


def _quoted(value: str | float) -> str:
    return quoteattr(value if isinstance(value, str) else number(value))
