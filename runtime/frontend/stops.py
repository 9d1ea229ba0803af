"""Ends a text at the first stop string, wherever its pieces are cut."""

from collections.abc import Sequence


class StopMatcher:
    """Passes text on, holding back what may be the beginning of a stop string.

    The stop string that is complete first ends the text, the longest of those complete at the same
    character. So the result does not depend on how the text was cut into pieces.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.is_stopped = False

    def push(self, text: str) -> str:
        """Return what can be shown after *text*; nothing more once stopped."""
        if self.is_stopped:
            return ""
        text = self._held + text
        end = self._first_stop(text)
        if end is not None:
            self.is_stopped, self._held = True, ""
            return text[:end]
        keep = self._held_back(text)
        self._held = text[keep:]
        return text[:keep]

    def flush(self) -> str:
        """Return what was held: no more text comes, so it is no stop string."""
        held, self._held = self._held, ""
        return held

    def _first_stop(self, text: str) -> int | None:
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        return min(found)[1] if found else None

    def _held_back(self, text: str) -> int:
        """Return where the longest end of *text* begins that begins a stop string."""
        longest = max(map(len, self._stops))
        for at in range(max(0, len(text) - longest + 1), len(text)):
            tail = text[at:]
            if any(stop.startswith(tail) for stop in self._stops):
                return at
        return len(text)
