"""Charts over time or any other axis: lines that are joined, and steps that hold their height."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from planner.charts.axis import Axis
from planner.charts.frame import Entry, Frame, Size, framed
from planner.charts.marks import Band, Level, Note, Series, slots_of
from planner.charts.svg import Position, Positions, element, hint, line, number, outline, stairs
from planner.charts.theme import SLOTS
from planner.charts.thin import thinned

_Path = Callable[[Positions], str]
_PLAIN = Size()


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What a chart shows beside its lines."""

    levels: Sequence[Level] = ()
    bands: Sequence[Band] = ()
    notes: Sequence[Note] = ()


_NOTHING = Extras()


def lines(
    series: Sequence[Series], x: Axis, y: Axis, *, extras: Extras = _NOTHING, size: Size = _PLAIN
) -> str:
    """Return the chart of *series* as joined lines, the first on top, an SVG document."""
    return _chart(series, (x, y), extras, size=size, path=line)


def steps(
    series: Sequence[Series], x: Axis, y: Axis, *, extras: Extras = _NOTHING, size: Size = _PLAIN
) -> str:
    """Return the chart of *series* that keep each value until the next one, an SVG document."""
    return _chart(series, (x, y), extras, size=size, path=stairs)


def _chart(
    series: Sequence[Series], axes: tuple[Axis, Axis], extras: Extras, *, size: Size, path: _Path
) -> str:
    slots = slots_of(series)
    xs = [at for one in series for at in (min(one.x, default=0.0), max(one.x, default=0.0))]
    frame = framed(
        (_exact(axes[0], xs), xs),
        (axes[1], _heights(series, extras)),
        legend=[*_entries(series, slots), *_band_entries(extras.bands)],
        size=size,
    )
    pairs = list(zip(series, slots, strict=True))
    return frame.drawn(
        *(_band(frame, band, is_stepped=path is stairs) for band in extras.bands),
        *(_line(frame, one, slot=slot, path=path) for one, slot in reversed(pairs)),
        *(frame.level(level) for level in extras.levels),
        *_notes(frame, extras.notes),
    )


def _exact(axis: Axis, xs: Sequence[float]) -> Axis:
    """Return *axis* from the first value to the last: time needs no round ends."""
    low = min(xs, default=0.0) if axis.low is None else axis.low
    high = max(xs, default=1.0) if axis.high is None else axis.high
    return replace(axis, low=low, high=high if high > low else low + 1)


def _heights(series: Sequence[Series], extras: Extras) -> Iterator[float]:
    yield from (y for one in series for y in one.y if y is not None)
    yield from (level.y for level in extras.levels)
    yield from (y for band in extras.bands for y in (*band.low, *band.high))


def _line(frame: Frame, series: Series, *, slot: int, path: _Path) -> str:
    positions = [
        None if y is None else frame.at(x, y) for x, y in zip(series.x, series.y, strict=True)
    ]
    return element("path", class_=_class(series, slot), d=path(thinned(positions)))


def _class(series: Series, slot: int) -> str:
    return f"line s{slot % SLOTS}" + (" dashed" if series.is_dashed else "")


def _band(frame: Frame, band: Band, *, is_stepped: bool) -> str:
    there = _edge(frame, band.x, band.high, is_stepped=is_stepped)
    back = _edge(frame, band.x, band.low, is_stepped=is_stepped)
    around = [*there, *reversed(back)]
    return element("path", class_=f"band f{band.slot % SLOTS}", d=outline(around))


def _edge(
    frame: Frame, xs: Sequence[float], ys: Sequence[float], *, is_stepped: bool
) -> list[Position]:
    points = [frame.at(x, y) for x, y in zip(xs, ys, strict=True)]
    kept = [at for at in thinned(points) if at is not None]
    if not is_stepped:
        return kept
    corners = [((after[0], before[1]), after) for before, after in pairwise(kept)]
    return [*kept[:1], *(at for corner in corners for at in corner)]


def _notes(frame: Frame, notes: Sequence[Note]) -> Iterator[str]:
    """Yield a group of upright stripes that tell the notes, then the dots to point at."""
    if not notes:
        return
    top, height = frame.y.end, frame.y.start - frame.y.end
    share = frame.columns / len({note.x for note in notes})
    near = (
        element(
            "path", hint(note.text), d=f"M{number(frame.x.at(note.x))} {number(top)}v{height:g}"
        )
        for note in notes
        if note.y is None
    )
    yield element("g", *near, class_="near", stroke_width=min(max(share, 1.0), 12.0))
    for note in notes:
        if note.y is not None:
            x, y = frame.at(note.x, note.y)
            slot = f"f{note.slot % SLOTS}"
            yield element("circle", hint(note.text), class_=slot, cx=x, cy=y, r=2.8)


def _entries(series: Sequence[Series], slots: Iterable[int]) -> Iterator[Entry]:
    for one, slot in zip(series, slots, strict=True):
        sample = element("path", class_=_class(one, slot), d="M0 0H18")
        yield Entry(label=one.label, drawing=sample)


def _band_entries(bands: Sequence[Band]) -> Iterator[Entry]:
    for band in bands:
        if band.label:
            class_ = f"band f{band.slot % SLOTS}"
            sample = element("rect", class_=class_, y=-5.0, width=18.0, height=10.0)
            yield Entry(label=band.label, drawing=sample)
