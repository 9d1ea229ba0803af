"""The Python in a document runs in the order that it is written in, and prints what it says."""

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
_BLOCK = re.compile(r"```python\n(.*?)```\n(?:```\n(.*?)```\n)?", re.DOTALL)


def documents() -> list[Path]:
    below = sorted((ROOT / "docs").rglob("*.md"))
    return [path for path in [ROOT / "README.md", *below] if "```python" in path.read_text()]


def test_there_is_something_to_run() -> None:
    assert ROOT / "docs" / "guides" / "python.md" in documents()


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_it_runs_and_prints_what_it_says(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for code, told in _BLOCK.findall(path.read_text()):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(path), "exec"), names)
        assert printed.getvalue() == told, code
