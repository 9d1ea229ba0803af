"""`planner history`: what the planner decided, out of the journal."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from planner.cli.output import Cell, notice, output_forms, print_json, print_table
from planner.cli.paths import default_journal_path
from planner.core.plan import Reason
from planner.core.role import Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planner.journal import Query, Record

_FILL = "planner run --observe --sla ttft=200ms,itl=20ms"


@click.command()
@click.option("--since", metavar="DURATION", help="Only the last 1h, 30m, 2d.")
@click.option("--role", type=click.Choice([role.value for role in Role]), help="Only this role.")
@click.option(
    "--reason", type=click.Choice([r.value for r in Reason], case_sensitive=False),
    metavar="REASON", help="Only where this reason had a say, such as DemandForecast.",
)  # fmt: skip
@click.option("--changed", is_flag=True, help="Only changes and failures.")
@click.option("--run", type=click.IntRange(1), metavar="ID", help="Only this life of a planner.")
@click.option(
    "--mode", type=click.Choice(["acts", "observes"]), help="Only planners that did this."
)
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=50, show_default=True,
    help="At most so many, the latest.",
)  # fmt: skip
@click.option(
    "--journal", type=click.Path(path_type=Path), default=default_journal_path,
    envvar="PLANNER_JOURNAL", help="File to read; the default planner's when left out.",
)  # fmt: skip
@output_forms("table", "json", "jsonl")
def command(journal: Path, output: str, **filters: Any) -> None:
    """List what the planner decided, the latest last."""
    from planner.journal import Journal

    query = _query(**filters)
    with Journal.read(journal) as opened:
        records = opened.query(query)[::-1]
        is_empty = opened.latest() is None
    if output == "json":
        print_json({"decisions": [_row_document(record) for record in records]})
    elif output == "jsonl":
        for record in records:
            print_json(_row_document(record))
    elif records:
        _print_rows(records, query)
    elif is_empty:
        notice(f"no decisions in {journal} yet\n\nhint: {_FILL}")
    else:
        notice(f"no decision in {journal} matches\n\nhint: planner history")


def _query(*, since: str | None, role: str | None, reason: str | None, **as_given: Any) -> "Query":
    from planner.core.units import parse_duration
    from planner.journal import Query

    seconds = since and parse_duration(since, what=f"--since {since}", hint="--since {}")
    return Query(
        since=time.time() - seconds if seconds else None,
        role=Role(role) if role else None,
        reason=Reason(reason) if reason else None,
        **as_given,
    )


def _row_document(record: "Record") -> dict[str, object]:
    entry = record.entry
    plan = entry.plan
    return {
        "id": record.id,
        "run": record.run,
        "mode": record.mode,
        "at": entry.at,
        "changed": record.changed,
        "outcome": entry.outcome,
        "note": entry.note,
        "decisions": [
            {
                "role": d.role,
                "current": d.current,
                "raw": d.raw,
                "desired": d.desired,
                "reasons": [step.reason for step in d.steps],
            }
            for d in (plan.decisions.values() if plan else ())
        ],
    }


def _print_rows(records: "Sequence[Record]", query: "Query") -> None:
    from planner.cli.decisions import moment

    present = {role for r in records if r.entry.plan for role in r.entry.plan.decisions}
    roles = [role for role in Role if role in present and query.role in (None, role)]
    # Only where planners of both kinds wrote: one that acts beside one that observes.
    modes = ["planner"] if len({record.mode for record in records}) > 1 else []
    runs = ["run"] if len({record.run for record in records}) > 1 else []
    rows: list[list[Cell]] = [
        [
            record.id,
            moment(record.entry.at),
            *(record.run for _ in runs),
            *(record.mode for _ in modes),
            *(_cell(record, role) for role in roles),
            _why(record, roles),
            record.entry.note or record.entry.outcome,
        ]
        for record in records
    ]
    print_table(["id", "at", *runs, *modes, *roles, "why", "result"], rows)


def _cell(record: "Record", role: Role) -> str | None:
    from planner.cli.decisions import change

    plan = record.entry.plan
    return change(plan.decisions[role]) if plan and role in plan.decisions else None


def _why(record: "Record", roles: "Sequence[Role]") -> str | None:
    """Return the last reason of each role that changes, or of all when none does."""
    if record.entry.plan is None:
        return None
    decisions = [d for d in record.entry.plan.decisions.values() if d.role in roles]
    told = [d for d in decisions if d.desired != d.current] or decisions
    return ", ".join(dict.fromkeys(d.steps[-1].reason.value for d in told if d.steps))
