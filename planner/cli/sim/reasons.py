"""What policies asked for and why, moment by moment, for the notes and lists of a report."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from planner.api.runs import Run
from planner.charts import Note
from planner.cli.decisions import foreseen
from planner.core.explain import explain
from planner.core.role import Role
from planner.core.units import format_duration

_MOST_LINES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One decision about one role; *need* and *reason* are None of a rule that tells only numbers.

    *before* is what was there or asked for last.
    """

    at: float
    role: Role
    before: int
    desired: int
    need: int | None = None
    reason: str | None = None
    foreseen: str = ""
    """What this number and its neighbours were predicted to give."""

    @property
    def text(self) -> str:
        """Return it as a line: "2m5s prefill 2 -> 3 DemandForecast: ..."."""
        foreseen = f"({self.foreseen})" if self.foreseen else ""
        told = (format_duration(self.at), str(self.role), self.change, self.reason, foreseen)
        return " ".join(part for part in told if part)

    @property
    def change(self) -> str:
        """Return "2 -> 3", or "3" when nothing changes."""
        if self.before == self.desired:
            return str(self.desired)
        return f"{self.before} -> {self.desired}"


def asked(run: Run, role: Role) -> list[Asked]:
    """Return everything that the policy of *run* asked for *role*, in order."""
    if run.result.plans:
        return [
            Asked(
                at=plan.at,
                role=role,
                before=plan.decisions[role].current,
                desired=plan.decisions[role].desired,
                need=plan.decisions[role].raw,
                reason=explain(plan.decisions[role]),
                foreseen=foreseen(plan.decisions[role]),
            )
            for plan in run.result.plans
            if role in plan.decisions
        ]
    return list(_asked_without_reasons(run, role))


def _asked_without_reasons(run: Run, role: Role) -> Iterator[Asked]:
    before = run.result.changes[0].fleet[role].current
    for wish in run.wishes:
        desired = wish.desired.get(role, before)
        yield Asked(at=wish.at, role=role, before=before, desired=desired)
        before = desired


def notes(decisions: Sequence[Asked], *, seconds: float) -> list[Note]:
    """Return a note for each decision, or for each stretch of *seconds* where they lie closer.

    A stretch tells every change in it, and its last decision. Without reasons, only changes count.
    """
    told = [one for one in decisions if one.reason is not None or one.before != one.desired]
    return [
        Note(x=group[-1].at, text="\n".join(_lines(group)))
        for _, stretch in groupby(told, key=lambda one: int(one.at / seconds))
        if (group := list(stretch))
    ]


def _lines(group: Sequence[Asked]) -> list[str]:
    told = [one for one in group[:-1] if one.before != one.desired]
    left_out = [f"and {len(told) - _MOST_LINES} more"] if len(told) > _MOST_LINES else []
    return [*(one.text for one in told[:_MOST_LINES]), *left_out, group[-1].text]
