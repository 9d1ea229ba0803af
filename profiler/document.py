"""Renders JSON for people: one line for an object or list of plain values, else one an entry."""

import json


def render(value: object, *, indent: int = 0) -> str:
    """Return *value* as JSON text, a measured point on one line."""
    if not isinstance(value, dict | list) or _is_flat(value):
        return json.dumps(value)
    pad = " " * (indent + 1)
    if isinstance(value, dict):
        rows = [f"{json.dumps(k)}: {render(v, indent=indent + 1)}" for k, v in value.items()]
        opening, closing = "{", "}"
    else:
        rows = [render(item, indent=indent + 1) for item in value]
        opening, closing = "[", "]"
    body = ",\n".join(f"{pad}{row}" for row in rows)
    return f"{opening}\n{body}\n{' ' * indent}{closing}"


def _is_flat(value: dict[str, object] | list[object]) -> bool:
    items = value.values() if isinstance(value, dict) else value
    return not any(isinstance(item, dict | list | str) for item in items)
