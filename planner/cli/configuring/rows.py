"""Settings with their origins, as a table or as JSON."""

from collections.abc import Iterable


def show_rows(rows: Iterable[tuple[str, object, str]], output: str) -> None:
    """Print *rows* of name, value and origin in the form *output*."""
    from planner.cli.output import print_json, print_table

    if output == "json":
        settings = {name: {"value": value, "origin": origin} for name, value, origin in rows}
        print_json({"settings": settings})
        return
    shown = [[name, written(value), origin] for name, value, origin in rows]
    print_table(["setting", "value", "origin"], shown)


def written(value: object) -> str | None:
    """Return a setting's value as it can be given as a flag; None for one that is not set."""
    if value is None or value in ({}, ()):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return ",".join(f"{role}={written(item)}" for role, item in value.items())
    return ",".join(value) if isinstance(value, list) else str(value)
