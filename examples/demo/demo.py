"""The whole product on one machine: serve, replay real traffic, scale, report.

    make demo

starts a disaggregated deployment of real processes with a planner that acts, replays Azure's
conversation trace into it at a speed that swings, and writes demo-report.json and demo-report.svg.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from picture import Panel, Series, draw, replica_series
from run_report import Window, report, series, timelines

from planner.core.role import Role
from planner.core.sla import Sla
from planner.journal import Journal, Query, Record
from planner.profiles import load_profile

PROFILE = "qwen3-32b-h200"
SLA = "ttft=1s,itl=40ms,attainment=99%"
TRACE = "bundled:azure-conv"
PYTHON = [sys.executable, "-m", "runtime.process", "--", sys.executable, "-m", "planner"]
"""`planner`, in a process that ends when this one does, however that happens."""


@contextmanager
def deployment(state: Path, options: argparse.Namespace) -> Iterator[str]:
    """Serve until leaving and yield the URL."""
    command = [*PYTHON, "serve", "--state-dir", str(state), "--http-port", "0"]
    command += ["--profile", PROFILE, "--sla", SLA, "--cold-start", "3s", "--interval", "2s"]
    command += ["--planner", "apply", "--max-gpus", str(options.max_gpus)]
    serve = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    try:
        yield wait_ready(serve, state)
    finally:
        stop(serve)


def wait_ready(serve: "subprocess.Popen[bytes]", state: Path) -> str:
    """Return the URL once the deployment says that it is ready."""
    while serve.poll() is None:
        status = subprocess.run(
            [*PYTHON, "status", "--state-dir", str(state), "-o", "json"],
            capture_output=True,
            check=False,
        )
        if status.returncode == 0 and (seen := json.loads(status.stdout)["frontend"])["models"]:
            return str(seen["url"])
        time.sleep(0.2)
    sys.exit(serve.returncode or 1)


def replay(url: str, options: argparse.Namespace) -> dict[str, Any]:
    """Send the traffic and return what `planner replay` measured."""
    seconds = options.seconds
    command = [*PYTHON, "replay", "--trace", TRACE, "--url", url, "--sla", SLA, "-o", "json"]
    # The recorded traffic is flat. Four copies of it at 0.15 to 1 times its speed are a quiet
    # hour, a rush and a quiet hour again, with real lengths and bursts: in 180 s 1552 requests, at
    # first less than one a second, up to 25 a second over ten seconds, and 4 a second at the end.
    command += ["--amplify", "4", "--swing", "0.15:1.0", "--period", f"{seconds}s"]
    command += ["--duration", f"{seconds * 0.575:g}s"]
    sending = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE)
    try:
        output, _ = sending.communicate()
    finally:
        stop(sending)
    if sending.returncode:
        sys.exit(sending.returncode)
    return dict(json.loads(output))


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End *process* as Ctrl-C does, and wait for it."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.wait()


def decisions(state: Path) -> list[Record]:
    """Return what the planner recorded, oldest first."""
    with Journal.read(state / "journal.sqlite") as journal:
        return journal.query(Query(limit=100_000))[::-1]


def latency(name: str, target: float | None, points: list[tuple[float, float]]) -> Panel:
    """Return a chart of the mean *name* of each interval against its *target*, in ms."""
    assert target is not None
    in_ms = [(at, seconds * 1e3) for at, seconds in points]
    return Panel(
        title=f"{name}, mean of each interval, ms (target {target * 1e3:g})",
        series=[Series(name=name, points=in_ms)],
        top=target * 1.25e3,
        target=target * 1e3,
    )


def picture(records: list[Record], window: Window, found: dict[str, Any]) -> str:
    """Return the run as SVG."""
    ready, _ = timelines(records, window)
    rates = series(records, window, lambda t: (t.arrived, t.seconds))
    most = max(count for points in ready.values() for _, count in points)
    sla = Sla.parse(SLA)
    panels = [
        Panel(
            title="requests a second",
            series=[Series(name="arrived", points=rates)],
            top=10 * (1 + max(rate for _, rate in rates) // 10),
        ),
        Panel(title="replicas ready", series=replica_series(ready), top=2 * (1 + most // 2)),
        latency(
            "TTFT", sla.ttft_seconds, series(records, window, lambda t: (t.ttft_sum, t.ttft_count))
        ),
        latency(
            "ITL", sla.itl_seconds, series(records, window, lambda t: (t.itl_sum, t.itl_count))
        ),
    ]
    title = (
        f"{found['requests']} requests, {found['attainment']:.1%} inside the SLA, "
        f"{found['failed']} failed; {found['gpu_seconds']:.0f} GPU-seconds, "
        f"{found['gpu_seconds_static_peak']:.0f} if the peak had been held"
    )
    return draw(panels, seconds=window.end - window.start, title=title)


def show(found: dict[str, Any]) -> None:
    """Print the report as a table."""
    replicas = ", ".join(
        f"{role} {r['min']} to {r['max']}" for role, r in found["replicas"].items()
    )
    ttft, itl = found["ttft_ms"], found["itl_ms"]
    rows = {
        "requests": f"{found['requests']} ({found['failed']} failed)",
        "attainment": f"{found['attainment']:.2%} of {SLA}",
        "ttft": f"p50 {ttft['p50']:.0f} ms, p95 {ttft['p95']:.0f} ms, p99 {ttft['p99']:.0f} ms",
        "itl": f"p50 {itl['p50']:.1f} ms, p95 {itl['p95']:.1f} ms, p99 {itl['p99']:.1f} ms",
        "replicas": f"{replicas}, in {found['scale_actions']} scale actions",
        "GPU-seconds": f"{found['gpu_seconds']:.0f}, static peak "
        f"{found['gpu_seconds_static_peak']:.0f}",
        "machine": f"load {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores; a busy one is late",
    }
    for name, text in rows.items():
        print(f"{name:12} {text}")


def run(options: argparse.Namespace, state: Path) -> None:
    """Run the demo with its state in the folder *state*."""
    began = time.monotonic()
    with deployment(state, options) as url:
        print(f"{url} answers after {time.monotonic() - began:.1f} s", flush=True)
        start = time.time()
        measured = replay(url, options)
        window = Window(start=start, end=time.time())
        time.sleep(3)  # the planner's last look at this load
        records = decisions(state)
    engines = load_profile(PROFILE).parallelisms
    gpus = dict.fromkeys(Role, min(engine.gpus for engine in engines))
    found = report(measured, records, window=window, gpus=gpus)
    out: Path = options.out
    out.write_text(json.dumps(found, indent=2) + "\n")
    out.with_suffix(".svg").write_text(picture(records, window, found))
    show(found)
    if late := measured["sent_late"]:
        print(f"{late} left over 50 ms late: this machine was too busy to measure")
    print(f"written to {out} and {out.with_suffix('.svg')}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=180, help="of traffic; default: 180")
    parser.add_argument("--max-gpus", type=int, default=10)
    parser.add_argument("--state-dir", type=Path, help="keep journal and logs in this folder")
    parser.add_argument("--out", type=Path, default=Path("demo-report.json"))
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="planner-demo-") as folder:
            run(options, options.state_dir or Path(folder))
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
