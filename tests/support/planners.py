"""`planner` commands as processes against a cluster."""

import asyncio
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


async def spawn_planner(
    *words: str, kubeconfig: Path, folder: Path, log: Path
) -> asyncio.subprocess.Process:
    """Start ``planner WORDS``, at home in *folder*, and have what it says in *log*."""
    with log.open("wb") as file:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "planner", *words,
            env={"KUBECONFIG": str(kubeconfig), "HOME": str(folder)},
            stdout=file, stderr=file, cwd=ROOT,
        )  # fmt: skip
