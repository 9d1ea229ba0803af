"""The example of a configuration file, with values of one's own in it."""

import json
import re
import tomllib
from collections.abc import Mapping
from importlib import resources


def _example() -> str:
    return resources.files("planner").joinpath("config.example.toml").read_text(encoding="utf-8")


def filled(values: Mapping[str, object]) -> str:
    """Return the shipped example, which sets every default, with *values* in their places."""
    text = _example()
    for name, value in values.items():
        line = re.compile(rf"^(?:# )?{name} = [^#\n]*?(?: *(?P<comment>#.*))?$", re.MULTILINE)
        old = line.search(text)
        assert old is not None, f"the example has no {name}"
        new = f"{f'{name} = {toml(value)}':<24}{old['comment'] or ''}".rstrip()
        text = f"{text[: old.start()]}{new}{text[old.end() :]}"
    return text


def toml(value: object) -> str:
    """Return *value*, of what JSON knows, as TOML on one line."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {toml(item)}' for key, item in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value, ensure_ascii=False)  # strings, numbers and booleans read alike


def example_of(name: str) -> object:
    """Return a value that the setting *name* could have, out of the shipped example."""
    line = re.search(rf"^(?:# )?{name} = (.*)$", _example(), re.MULTILINE)
    assert line is not None, f"the example has no {name}"
    # An empty table says nothing: one that is not follows in the comment, up to its colon.
    shown = re.sub(r"^\{\} *# ({.*?}):.*", r"\1", line[1])
    return tomllib.loads(f"value = {shown}")["value"]
