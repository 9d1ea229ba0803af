"""Every `planner` command that a document shows is one: its flags exist and take these values."""

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from planner.cli.main import COMMANDS, program

ROOT = Path(__file__).parents[3]
_BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
_SHELLS = ("", "sh", "bash", "shell", "console")
_USAGE = "[OPTIONS]"
_INLINE = re.compile(r"`(planner [^`\n]+)`")


def documents() -> list[Path]:
    below = (path for name in ("docs", "examples") for path in (ROOT / name).rglob("*.md"))
    return sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *below])


def lines(text: str) -> Iterator[str]:
    for block in (block for language, block in _BLOCK.findall(text) if language in _SHELLS):
        for line in block.replace("\\\n", " ").splitlines():
            # A name followed by more than one space is a row of a table.
            if _USAGE not in line and (match := re.search(r"(?:^|\| *)(planner (?! ).*)", line)):
                yield match[1]
    # ADRs may talk of commands to come; a mere name followed by words is prose.
    yield from _INLINE.findall(_BLOCK.sub("", text))


def commands() -> Iterator[tuple[str, str]]:
    for path in documents():
        if path.parent.name == "adr":
            continue
        for line in dict.fromkeys(lines(path.read_text())):
            yield str(path.relative_to(ROOT)), line


@pytest.mark.parametrize(
    "line", [pytest.param(line, id=f"{where}: {line}") for where, line in commands()]
)
def test_parses(line: str) -> None:
    name, *arguments = shlex.split(line, comments=True)[1:]
    if name == "COMMAND" or name.startswith("-"):
        program.make_context("planner", [name], resilient_parsing=True)
        return
    assert name in COMMANDS
    command = importlib.import_module(f"planner.cli.{name}").command
    if "--help" not in arguments:
        command.make_context(name, arguments)


def test_there_is_something_to_test() -> None:
    assert len(list(commands())) > 20
