"""What an engine has computed, summed over its steps."""

from workers.engine import StepTotals


class StepSums:
    """Adds up the quantities that the times of steps are linear in."""

    def __init__(self) -> None:
        self._prefill_steps = 0
        self._decoded = 0
        self._kv_tokens = 0
        self._prefilled = 0
        self._prefilled_squared = 0

    def prefill_step(self) -> None:
        """Count a step with chunks of prompts in it."""
        self._prefill_steps += 1

    def chunk(self, start: int, end: int) -> None:
        """Count the tokens of a prompt from *start* to *end*."""
        self._prefilled += end - start
        self._prefilled_squared += end * end - start * start

    def decode(self, tokens: int, *, kv_tokens: int) -> None:
        """Count *tokens* decoded, which read *kv_tokens* of KV cache together."""
        self._decoded += tokens
        self._kv_tokens += kv_tokens

    def read(self) -> StepTotals:
        """Return the sums so far."""
        return StepTotals(
            prefill_steps=self._prefill_steps,
            decoded_tokens=self._decoded,
            kv_tokens_read=self._kv_tokens,
            prefilled_tokens=self._prefilled,
            prefilled_squared_tokens=self._prefilled_squared,
        )
