"""A setting: what it is, its default, its value and where that was set, and how to set it."""

from pathlib import Path

from planner.cli.configuring.example import example_of, toml
from planner.cli.configuring.rows import written
from planner.cli.control.effective import in_force
from planner.cli.control.options import shape
from planner.cli.output import print_json, print_line
from planner.config import Settings
from planner.config.layers import PREFIX
from planner.config.settle import DEFAULT

_NONE = "none"


def explain_setting(name: str, config: Path | None, output: str) -> None:
    """Print what the setting *name* is and what it is now, with the file *config* if any."""
    settled, _ = in_force({}, config=config)
    value = next(value for one, value, _ in settled.rows if one == name)
    default = Settings().model_dump(mode="json")[name]
    document = {
        "setting": name,
        "description": Settings.model_fields[name].description,
        "takes": shape(name),
        "default": default,
        "value": value,
        "origin": settled.origins[name],
        "flag": f"--{name.replace('_', '-')}",
        "variable": f"{PREFIX}{name.upper()}",
    }
    if output == "json":
        print_json(document)
        return
    print_line(f"{name}: {document['description']}")
    is_set = settled.origins[name] != DEFAULT
    now = f"{written(value) or _NONE}   ({settled.origins[name]})" if is_set else "the default"
    takes = shape(name)
    example = example_of(name) or True
    text = written(example)
    for label, told in (
        ("default", written(default) or _NONE),
        ("now", now),
        ("flag", f"{document['flag']} {text if takes else ''}".rstrip()),
        ("variable", f"{document['variable']}={text}"),
        ("file", f"{name} = {toml(example)}"),
    ):
        print_line(f"  {label:<9} {told}")
