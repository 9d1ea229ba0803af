"""How much memory is left for new processes, as the system tells it."""

from pathlib import Path

import pytest

from workers.memory import available_memory

PAGE = "MemTotal:       24607060 kB\nMemFree: 1 kB\nMemAvailable:   23068672 kB\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(PAGE, 23068672 * 1024, id="what can be taken, not what is unused"),
        pytest.param("MemFree: 1 kB\n", None, id="an old kernel does not tell"),
        pytest.param(None, None, id="another system has no such file"),
    ],
)
def test_what_may_be_taken(tmp_path: Path, text: str | None, expected: int | None) -> None:
    path = tmp_path / "meminfo"
    if text is not None:
        path.write_text(text)
    assert available_memory(path) == expected
