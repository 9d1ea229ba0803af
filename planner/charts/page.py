"""The SVG document around what is drawn."""

from planner.charts.svg import element
from planner.charts.theme import STYLE


def document(width: float, height: float, *content: str, **attributes: str) -> str:
    """Return an SVG document of *width* by *height* pixels: *content* in our style, on a page.

    It has *attributes* beside its size.
    """
    return element(
        "svg",
        element("style", STYLE),
        element("rect", class_="page", width=width, height=height),
        *content,
        xmlns="http://www.w3.org/2000/svg",
        class_="chart",
        width=width,
        height=height,
        viewBox=f"0 0 {width:g} {height:g}",
        **attributes,
    )
