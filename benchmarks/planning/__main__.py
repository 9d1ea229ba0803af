"""Every policy on every load, against perfect foresight: `python benchmarks/planning`.

Writes results/planning.json (planning-short.json with --short), the tables in docs/benchmarks.md
and the plot docs/planning.svg. Rows are kept as they come; --resume goes on with them.
"""

import argparse
import json
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from agenda import SHORT, full, short
from crew import run_all
from document import document
from jobs import Job, Row
from loads import EXCERPT, LOADS, TRACES
from page import tables, write_page
from plot import plot
from store import Store, commit_name

_ROOT = Path(__file__).parents[2]
_RESULTS = _ROOT / "benchmarks" / "results"
_RUNS = _ROOT / "build"


def main() -> None:
    """Run what is asked for and write down what came of it."""
    given = _arguments()
    form = "short" if given.short else "full"
    jobs = (short if given.short else full)(_loads(given))
    rows_file = _RUNS / f"planning-{form}.jsonl"
    if not given.resume:
        rows_file.unlink(missing_ok=True)
    store = Store(rows_file, again=given.again)
    began = time.monotonic()
    left_out = _run(jobs, store, given)
    rows = store.rows
    if not rows:
        print("nothing measured")
        return
    told = document(rows, form=form, left_out=left_out)
    name = "planning.json" if form == "full" else "planning-short.json"
    (_RESULTS / name).write_text(_compact(told))
    if form == "full":
        (_ROOT / "docs" / "planning.svg").write_text(plot(rows))
        write_page(_ROOT / "docs" / "benchmarks.md", rows, told)
    else:
        print(tables(rows, told))
    print(f"{time.monotonic() - began:.0f} s; {len(left_out)} of {len(jobs)} left out; {name}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="planning", description=__doc__)
    parser.add_argument("--short", action="store_true", help="what tells most in 3 minutes")
    parser.add_argument("--traces", type=Path, default=TRACES, help="folder of the recordings")
    parser.add_argument("--loads", nargs="*", choices=list(LOADS), help="only these")
    parser.add_argument("--resume", action="store_true", help="keep the rows of the last run")
    parser.add_argument("--again", nargs="*", default=(), help="policies to run again with it")
    parser.add_argument("--minutes", type=float, default=55.0, help="start no run after these")
    parser.add_argument("--processes", type=int, default=2)
    return parser.parse_args()


def _loads(given: argparse.Namespace) -> list[str]:
    """Return the loads asked for whose recordings are there, and say which are skipped."""
    names = given.loads or (SHORT if given.short else [name for name in LOADS if name != EXCERPT])
    there = [name for name in names if LOADS[name].is_there(given.traces)]
    for name in names:
        if name not in there:
            print(f"{name}: skipped, {given.traces / str(LOADS[name].file)} is not there")
    return [EXCERPT] if given.short and not there else there


def _run(jobs: Sequence[Job], store: Store, given: argparse.Namespace) -> list[Job]:
    """Run what *store* lacks and return what was not run for want of time."""
    missing = [job for job in jobs if store.lacks(job)]
    commit, left_out = commit_name(), []
    deadline = time.monotonic() + 60 * given.minutes
    found = run_all(missing, given.traces, processes=given.processes, deadline=deadline)
    for number, (job, rows) in enumerate(found, 1):
        if rows is None:
            left_out.append(job)
            continue
        store.add(rows, commit=commit)
        print(f"{number}/{len(missing)} {_told(job, rows[0])}", flush=True)
    return left_out


def _told(job: Job, row: Row) -> str:
    return (
        f"{job.load}:{job.seed} {job.policy} x{job.headroom:g} cold {job.cold_start:g} s, "
        f"{job.truth}: {row['attainment']:.4f} at {row['gpu_hours']} GPU-hours"
    )


def _compact(told: dict[str, object]) -> str:
    """Return JSON with one line a row: thousands of lines else."""
    rows = told["rows"]
    assert isinstance(rows, list)
    head = json.dumps({name: told[name] for name in told if name != "rows"}, indent=1)[:-2]
    lines = ",\n  ".join(json.dumps(row) for row in rows)
    return f'{head},\n "rows": [\n  {lines}\n ]\n}}\n'


if __name__ == "__main__":
    # As Ctrl-C does, SIGTERM ends the run by an exception, which ends the workers.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main()
    except KeyboardInterrupt:
        print("stopped; --resume goes on from here")
        raise SystemExit(130) from None
