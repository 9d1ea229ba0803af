"""Where figures are kept: a JSON file a benchmark, with when and on what they were measured."""

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def write(path: Path, figures: Mapping[str, object]) -> None:
    """Write *figures* to *path* with their provenance, and say so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**provenance(), **figures}, indent=2) + "\n")
    print(f"written to {path}")


def provenance() -> dict[str, str]:
    """Return the date, commit, Python and cores of this measurement."""
    commit = subprocess.run(
        ["git", "-C", str(RESULTS.parent), "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit,
        "python": platform.python_version(),
        "cores": str(len(os.sched_getaffinity(0))),
    }
