"""What one call of `scale` has done so far, and what it could not do."""

from dataclasses import dataclass, field

from planner.errors import ScaleRejected
from planner.ports import Outcome, ScaleResult


@dataclass(slots=True)
class Progress:
    """Names of replicas that were started and drained, and why others were not."""

    started: list[str] = field(default_factory=list)
    draining: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def result(self) -> ScaleResult:
        """Return what was done. Raises ScaleRejected when something was not."""
        if self.refused:
            changes = [f"{name} started" for name in self.started]
            changes += [f"{name} draining" for name in self.draining]
            changed = f"changed: {', '.join(changes)}" if changes else "nothing changed"
            raise ScaleRejected(f"{'; '.join(self.refused)}; {changed}")
        return ScaleResult(
            outcome=Outcome.APPLIED, started=tuple(self.started), draining=tuple(self.draining)
        )
