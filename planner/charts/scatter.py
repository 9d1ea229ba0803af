"""Results against each other, such as attainment against what it cost."""

from collections.abc import Iterable, Iterator, Sequence

from planner.charts.axis import Axis
from planner.charts.frame import Entry, Frame, Size, framed, width_of
from planner.charts.marks import Dot, Dots, Level, slots_of
from planner.charts.svg import Position, element, hint, line, words
from planner.charts.theme import SLOTS, symbol

_SIZE = Size(width=640.0, height=420.0)
_Box = tuple[float, float, float, float]
"""Left, top, right and bottom."""


def scatter(
    groups: Sequence[Dots],
    x: Axis,
    y: Axis,
    *,
    levels: Sequence[Level] = (),
    size: Size = _SIZE,
) -> str:
    """Return the chart of *groups*, an SVG document.

    A group of one dot is named beside it, the others in the legend. The first is drawn on top.
    """
    pairs = list(zip(groups, slots_of(groups), strict=True))
    frame = framed(
        (x, [end for group in groups for dot in group.dots for end in _ends(dot.x, dot.x_range)]),
        (y, [*_heights(groups), *(level.y for level in levels)]),
        legend=[_entry(group.label, slot) for group, slot in pairs if len(group.dots) != 1],
        size=size,
    )
    return frame.drawn(
        *(frame.level(level) for level in levels),
        *(_group(frame, group, slot=slot) for group, slot in reversed(pairs)),
        *_names(frame, groups, taken=[_along(frame, level) for level in levels]),
    )


def _heights(groups: Sequence[Dots]) -> Iterator[float]:
    for group in groups:
        for dot in group.dots:
            yield from _ends(dot.y, dot.y_range)


def _ends(value: float, around: tuple[float, float] | None) -> Iterator[float]:
    yield value
    yield from around or ()


def _group(frame: Frame, group: Dots, *, slot: int) -> str:
    ink = slot % SLOTS
    parts = [part for dot in group.dots for part in _bars(frame, dot, ink=ink)]
    if group.is_joined:
        path = line([frame.at(dot.x, dot.y) for dot in group.dots])
        parts.append(element("path", class_=f"line dashed s{ink}", d=path))
    parts += [
        element(
            "path",
            hint(dot.text or group.label),
            class_=f"f{ink}",
            d=symbol(slot, frame.at(dot.x, dot.y)),
        )
        for dot in group.dots
    ]
    return "".join(parts)


def _bars(frame: Frame, dot: Dot, *, ink: int) -> Iterator[str]:
    if dot.x_range is not None:
        path = line([frame.at(x, dot.y) for x in dot.x_range])
        yield element("path", class_=f"line s{ink}", d=path)
    if dot.y_range is not None:
        path = line([frame.at(dot.x, y) for y in dot.y_range])
        yield element("path", class_=f"line s{ink}", d=path)


def _entry(label: str, slot: int) -> Entry:
    return Entry(
        label=label, drawing=element("path", class_=f"f{slot % SLOTS}", d=symbol(slot, (9, 0)))
    )


def _names(frame: Frame, groups: Sequence[Dots], *, taken: list[_Box]) -> Iterator[str]:
    """Yield the name of each group of one dot, beside it and on nothing else where possible."""
    spots = [frame.at(dot.x, dot.y) for group in groups for dot in group.dots]
    taken = [*taken, *((x - 6, y - 6, x + 6, y + 6) for x, y in spots)]
    for group in groups:
        if len(group.dots) == 1:
            (dot,) = group.dots
            places = list(_beside(frame.at(dot.x, dot.y), width_of(group.label)))
            inside = [box for box in places if _is_inside(box, frame)]
            best = min(inside or places, key=lambda box: _covered(box, taken))
            taken.append(best)
            yield words(group.label, (best[0], best[3] - 4), class_="over")


def _is_inside(box: _Box, frame: Frame) -> bool:
    """Return whether *box* keeps clear of the numbers along the axes."""
    return frame.x.start < box[0] and box[2] < frame.size.width and box[3] <= frame.y.start + 3


def _along(frame: Frame, level: Level) -> _Box:
    y = frame.y.at(level.y)
    return (frame.x.start, y - 3, frame.x.end, y + 3)


def _beside(dot: Position, width: float) -> Iterator[_Box]:
    """Yield boxes for a name of *width*: right, left, above, below, off corners, higher."""
    x, y = dot
    corners = [
        (x + 9, y - 8), (x - 9 - width, y - 8), (x - width / 2, y - 23), (x - width / 2, y + 7),
        (x + 7, y - 21), (x + 7, y + 5), (x - 7 - width, y - 21), (x - 7 - width, y + 5),
        (x - width / 2, y - 38), (x + 7, y - 36), (x - 7 - width, y - 36),
    ]  # fmt: skip
    for left, top in corners:
        yield (left, top, left + width, top + 16)


def _covered(box: _Box, taken: Iterable[_Box]) -> float:
    """Return the area of *box* that is taken."""
    return sum(
        max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
        * max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
        for other in taken
    )
