"""What stands in an image's file, instruction by instruction."""

import json
from pathlib import Path

IMAGES = Path(__file__).parents[2] / "deploy" / "images"


def instructions(path: Path) -> list[tuple[str, str]]:
    """Return name and rest of each instruction in the file *path*, without comments."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [
        (name, rest.strip())
        for name, _, rest in (x.partition(" ") for x in joined.split("\n"))
        if name
    ]


def words(path: Path, name: str) -> list[str]:
    """Return the JSON list of the last instruction *name* in the file *path*."""
    rest = [rest for one, rest in instructions(path) if one == name][-1]
    found: list[str] = json.loads(rest[rest.index("[") :])
    return found
