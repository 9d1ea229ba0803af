"""The visible text of one response: tokens in, text out, ended by stop strings."""

from collections.abc import Sequence

from runtime.frontend.detokenizer import Detokenizer
from runtime.frontend.stops import StopMatcher


class TextStream:
    """Detokenizes and looks for stop strings in what follows the first *min_tokens* tokens."""

    def __init__(
        self, detokenizer: Detokenizer, *, stops: Sequence[str] = (), min_tokens: int = 0
    ) -> None:
        self._detokenizer = detokenizer
        self._matcher = StopMatcher(stops) if stops else None
        self._min_tokens = min_tokens
        self._tokens = 0

    @property
    def is_stopped(self) -> bool:
        """Whether a stop string has ended the text."""
        return self._matcher is not None and self._matcher.is_stopped

    def push(self, token_ids: Sequence[int]) -> tuple[str, int]:
        """Return the text to show, and how many of *token_ids* came before the end of the text."""
        if self._matcher is None:
            return self._detokenizer.push(token_ids), len(token_ids)
        text = ""
        for used, token_id in enumerate(token_ids, start=1):
            text += self._match(self._detokenizer.push((token_id,)))
            if self.is_stopped:
                return text, used
        return text, len(token_ids)

    def flush(self) -> str:
        """Return what was held back, at the end of the tokens."""
        text = self._detokenizer.flush()
        if self._matcher is None:
            return text
        return self._matcher.push(text) + self._matcher.flush()

    def _match(self, text: str) -> str:
        assert self._matcher is not None
        self._tokens += 1
        # A stop string among the first tokens is text like any other.
        return text if self._tokens <= self._min_tokens else self._matcher.push(text)
