"""The plain part of a chart: page, grid, ticks, names of the axes and the legend."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from planner.charts.axis import Axis, Scale, scale, written
from planner.charts.marks import Level
from planner.charts.page import document
from planner.charts.svg import Position, element, words

# Pixels that ticks and names need beside the grid, and a row of the legend above it.
_LEFT, _RIGHT, _BOTTOM, _LINE = 62.0, 18.0, 40.0, 18.0
_LETTER = 6.6
"""Width of a letter, on average; measuring text needs a browser."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Pixels of a whole chart."""

    width: float = 860.0
    height: float = 250.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the legend: the drawing of 18 pixels that stands before the label."""

    label: str
    drawing: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Where values go inside a chart of *size*, and what stands around them."""

    size: Size
    x_axis: Axis
    y_axis: Axis
    x: Scale
    y: Scale
    legend: tuple[tuple[Position, Entry], ...]

    @property
    def columns(self) -> int:
        """Pixels across: more detail than this cannot be seen."""
        return int(self.x.end - self.x.start)

    def at(self, x: float, y: float) -> Position:
        """Return the pixel of a value."""
        return self.x.at(x), self.y.at(y)

    def drawn(self, *content: str) -> str:
        """Return the chart as an SVG document, *content* over the grid and under the names."""
        return document(
            self.size.width,
            self.size.height,
            *self._grid(),
            *content,
            *self._names(),
            role="img",
            aria_label=f"{self.y_axis.label} against {self.x_axis.label}",
        )

    def level(self, level: Level) -> str:
        """Return the line of *level* with its label, above it where there is room."""
        y = self.y.at(level.y)
        beside = y - 5 if y - 16 > self.y.end else y + 14
        at = (self.x.end - 4, beside)
        return _rule("level", (self.x.start, y), (self.x.end, y)) + words(
            level.label, at, class_="dim over", anchor="end"
        )

    def _grid(self) -> Iterable[str]:
        left, right, bottom = self.x.start, self.x.end, self.y.start
        for tick in self.y.ticks(6):
            y = self.y.at(tick)
            yield _rule("axis" if y == bottom else "grid", (left, y), (right, y))
            text = written(self.y.unit, tick)
            yield words(text, (left - 7, y + 4), class_="dim", anchor="end")
        for tick in self.x.ticks(self.columns // 70):
            x = self.x.at(tick)
            yield _rule("axis", (x, bottom), (x, bottom + 4))
            text = written(self.x.unit, tick)
            yield words(text, (x, bottom + 18), class_="dim", anchor="middle")

    def _names(self) -> Iterable[str]:
        yield words(self.y_axis.label, (8, 17), class_="strong")
        yield words(
            self.x_axis.label, (self.x.end, self.size.height - 6), class_="dim", anchor="end"
        )
        for (x, y), entry in self.legend:
            yield element("g", entry.drawing, transform=f"translate({x:g} {y:g})")
            yield words(entry.label, (x + 23, y + 4))


def framed(
    x: tuple[Axis, Iterable[float]],
    y: tuple[Axis, Iterable[float]],
    *,
    legend: Sequence[Entry],
    size: Size,
) -> Frame:
    """Return the frame of a chart with these axes and the values that they must hold."""
    places = _places(legend, first=width_of(y[0].label) * 1.1 + 40, width=size.width - _RIGHT)
    last_row = places[-1][0][1] if places else 13.0
    start, end = _LEFT, size.width - _RIGHT
    bottom, top = size.height - _BOTTOM, last_row + _LINE
    return Frame(
        size=size,
        x_axis=x[0],
        y_axis=y[0],
        x=scale(x[0], x[1], start=start, end=end),
        y=scale(y[0], y[1], start=bottom, end=top),
        legend=places,
    )


def width_of(text: str) -> float:
    """Return about how wide *text* is, in pixels."""
    return len(text) * _LETTER


def _places(
    legend: Sequence[Entry], *, first: float, width: float
) -> tuple[tuple[Position, Entry], ...]:
    """Return where each entry goes: in rows, beside the name of the axis in the first one."""
    places: list[tuple[Position, Entry]] = []
    x, y = first, 13.0
    for entry in legend:
        wide = 23 + width_of(entry.label) + 16
        if x + wide > width and x > _LEFT:
            x, y = _LEFT, y + _LINE
        places.append(((x, y), entry))
        x += wide
    return tuple(places)


def _rule(class_: str, start: Position, end: Position) -> str:
    return element("line", class_=class_, x1=start[0], y1=start[1], x2=end[0], y2=end[1])
