"""What an engine has computed, summed over its steps."""

from workers.engine import StepTotals
from workers.simulated.scheduler import Step


class Totals:
    """Adds up steps in the quantities that their times are linear in."""

    def __init__(self) -> None:
        self._prefill_steps = 0
        self._decoded = 0
        self._kv_tokens = 0
        self._prefilled = 0
        self._prefilled_squared = 0

    def add(self, step: Step) -> None:
        """Count *step*, of which nothing is missing even where a request left meanwhile."""
        self._decoded += step.decodes
        self._kv_tokens += step.decode_context
        if step.chunks:
            self._prefill_steps += 1
        for start, end in step.chunks:
            self._prefilled += end - start
            self._prefilled_squared += end * end - start * start

    def read(self) -> StepTotals:
        """Return the sums so far."""
        return StepTotals(
            prefill_steps=self._prefill_steps,
            decoded_tokens=self._decoded,
            kv_tokens_read=self._kv_tokens,
            prefilled_tokens=self._prefilled,
            prefilled_squared_tokens=self._prefilled_squared,
        )
