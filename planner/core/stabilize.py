"""Scaling down late: a replica stays until the need has been lower for a whole window.

Stopping an idle replica and starting it again costs a cold start, so keeping it for about that long
costs at most twice the best in hindsight, whatever the load does next.
"""

from planner.core.peaks import Peaks, above


def remaining_seconds(needs: Peaks, at: float, need: int, *, hold_seconds: float) -> float:
    """Return how long the window that ends *at* still holds a need above *need*."""
    ends = [seen + hold_seconds - at for seen, _ in above(needs, need)]
    return max(ends, default=0.0)
