"""Colours that everybody can tell apart on a white page and on a dark one, each with a dash."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BLUE, VERMILLION, GREEN, PURPLE, GREY = "#2f7fd1", "#d55e00", "#138a68", "#a35db5", "#808080"
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, GREY)
_DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [1, 3])
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross")

Dash = list[int]


@dataclass(frozen=True, slots=True)
class Series:
    """A named line of a chart; its dash tells it apart where its colour does not."""

    name: str
    colour: str
    dash: tuple[int, ...] = (1, 0)


def present(lines: Sequence[Series], rows: Sequence[Mapping[str, object]]) -> tuple[Series, ...]:
    """Return those of *lines* that any of *rows* belongs to, so that legends name no others."""
    names = {row["series"] for row in rows}
    return tuple(line for line in lines if line.name in names)


def series(*names: str) -> tuple[Series, ...]:
    """Return a line for each of *names*, in the order of the palette, which repeats."""
    slots = [place % len(COLOURS) for place in range(len(names))]
    return tuple(
        Series(name, COLOURS[slot], tuple(_DASHES[slot]))
        for name, slot in zip(names, slots, strict=True)
    )
