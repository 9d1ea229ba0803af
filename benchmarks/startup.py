"""How long `planner serve` takes until the deployment lists its model, and `planner --help`."""

import json
import resource
import statistics
import subprocess
import sys

from local_deployment import serving
from results_file import RESULTS, write

TIMES = 5


def serve_seconds() -> float:
    """Return the time from the command to a frontend that lists the model; no cold start."""
    with serving("--cold-start", "0s", "--planner", "observe", "--http-port", "0") as running:
        return running.ready_seconds


def help_cpu_seconds() -> float:
    """Return the CPU time of `planner --help`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "planner", "--help"], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure and write results/startup.json."""
    figures: dict[str, object] = {}
    for name, measured in (("serve", serve_seconds), ("help_cpu", help_cpu_seconds)):
        seconds = sorted(round(measured(), 3) for _ in range(TIMES))
        figures[f"{name}_seconds"] = {
            "median": statistics.median(seconds),
            "min": seconds[0],
            "max": seconds[-1],
        }
    print(json.dumps(figures, indent=2))
    write(RESULTS / "startup.json", {"times": TIMES, **figures})


if __name__ == "__main__":
    main()
