"""A reason: what it means, what to look at, and what to do."""

from textwrap import fill

from planner.cli.meanings import MEANINGS
from planner.cli.output import WIDTH, print_json, print_line
from planner.core.plan import Reason


def explain_reason(reason: Reason, output: str) -> None:
    """Print the meaning of *reason*."""
    meaning = MEANINGS[reason]
    if output == "json":
        told = {"means": meaning.means, "look": meaning.look, "do": meaning.do}
        print_json({"reason": reason.value, **told})
        return
    print_line(fill(f"{reason}: {_plain(meaning.means)}", WIDTH))
    for label, text in (
        ("look at", meaning.look),
        ("do", meaning.do),
        ("find it", f"planner history --reason {reason}"),
    ):
        print_line(fill(f"  {label:<9} {_plain(text)}", WIDTH, subsequent_indent=" " * 12))


def _plain(text: str) -> str:
    return text.replace("`", "")
