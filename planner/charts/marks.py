"""What charts show: lines, bands, levels, spots and notes, in the units of the axes."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line. A y of None is a gap.

    *slot* chooses colour and symbol where several charts show the same thing; its place in the
    chart does when left out.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float | None]
    slot: int | None = None
    is_dashed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """The area between two lines; without a label it is not in the legend."""

    x: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    label: str = ""
    slot: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A horizontal line across the chart, such as a target."""

    y: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A text that shows while the pointer is near *x*; with a *y* there is a dot to point at."""

    x: float
    text: str
    y: float | None = None
    slot: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """One result. Ranges are drawn as bars through it; the text shows under the pointer."""

    x: float
    y: float
    text: str = ""
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dots:
    """What belongs together in a scatter; joined dots are one thing at several settings."""

    label: str
    dots: Sequence[Dot] = ()
    slot: int | None = None
    is_joined: bool = False


def slots_of(shown: Sequence[Series | Dots]) -> list[int]:
    """Return the slot of each, which is its place in *shown* where it has none of its own."""
    return [place if one.slot is None else one.slot for place, one in enumerate(shown)]
