"""What came of profiling, whichever way: the profile, the choice, and what went wrong."""

from collections.abc import Sequence
from dataclasses import dataclass

from planner.cli.exits import Exit
from planner.core.profile import Profile
from profiler.choose import Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A profile with the best configuration of it. *failures* has a line for each.

    *model* is the folder of the model, None for the simulated engine's own; *rate_given* says that
    the choice is for a rate that somebody has.
    """

    profile: Profile
    choice: Choice
    failures: Sequence[str] = ()
    is_partial: bool = False
    engine: str = "simulated"
    model: str | None = None
    rate_given: bool = False

    @property
    def exit_code(self) -> int:
        """What the command returns: an infeasible SLA weighs more than missing points."""
        if self.choice.best is None:
            return Exit.INFEASIBLE
        return Exit.PARTIAL if self.is_partial else Exit.DONE
