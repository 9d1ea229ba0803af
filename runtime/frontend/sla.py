"""The latency targets a request is judged by, and histogram edges that contain them."""

from dataclasses import dataclass

_STEPS_PER_DECADE = 8
_DEFAULT_TTFT = 1.0
_DEFAULT_ITL = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """TTFT and mean ITL in seconds; a target that is None is not judged."""

    ttft: float | None = None
    itl: float | None = None

    def met_by(self, *, ttft: float, itl: float | None) -> bool:
        """Return whether a finished request is inside; one token alone has no ITL to judge."""
        return not (_is_late(ttft, self.ttft) or _is_late(itl, self.itl))

    def missed_after(self, waited: float) -> bool:
        """Return whether *waited* seconds without a token have missed the TTFT target."""
        return _is_late(waited, self.ttft)

    @property
    def ttft_edges(self) -> tuple[float, ...]:
        """Return the histogram edges for TTFT, the target among them."""
        return edges_around(self.ttft or _DEFAULT_TTFT)

    @property
    def itl_edges(self) -> tuple[float, ...]:
        """Return the histogram edges for ITL, the target among them."""
        return edges_around(self.itl or _DEFAULT_ITL)


def edges_around(target: float) -> tuple[float, ...]:
    """Return edges from a tenth of *target* to 100 times it, with *target* itself exactly.

    They grow by a third up to ten times the target: a quantile near it is off by at most that.
    """
    steps = range(-_STEPS_PER_DECADE, _STEPS_PER_DECADE + 1)
    factors = [*(10 ** (step / _STEPS_PER_DECADE) for step in steps), 30, 100]
    return tuple(target if factor == 1 else _rounded(target * factor) for factor in factors)


def _rounded(edge: float) -> float:
    return float(f"{edge:.4g}")


def _is_late(seconds: float | None, target: float | None) -> bool:
    return seconds is not None and target is not None and seconds > target
