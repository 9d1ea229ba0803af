"""The cold start that a planner reckons with where none was set: what start-ups really took."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from planner.core.state import PolicyState
from planner.loop import Policy

log = logging.getLogger(__name__)

# Smaller changes move no decision, and each one starts a run of its own in the journal.
_LEAST_SECONDS = 1.0
_LEAST_SHARE = 0.1
_LONGEST_SECONDS = 7200.0


def with_cold_start(policy: Policy, seconds: float | None) -> Policy:
    """Return *policy* with a cold start of *seconds*; itself where that is near what it has."""
    before = policy.config.cold_start_seconds
    if seconds is None or abs(seconds - before) < max(_LEAST_SECONDS, _LEAST_SHARE * before):
        return policy
    config = replace(policy.config, cold_start_seconds=min(seconds, _LONGEST_SECONDS))
    return replace(policy, config=config)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredColdStart:
    """Puts what is *measured* into a policy; *begin* begins its run in the journal.

    Called before each decision of the loop. A run has one policy, so that its decisions can be
    made again.
    """

    measured: Callable[[], float | None]
    begin: Callable[[Policy, PolicyState], int]

    def __call__(self, policy: Policy, state: PolicyState) -> tuple[Policy, int] | None:
        """Return the policy from now on and its run; None where *policy* stays as it is."""
        revised = with_cold_start(policy, self.measured())
        if revised is policy:
            return None
        log.info(
            "cold start measured seconds=%.1f before=%.1f",
            revised.config.cold_start_seconds,
            policy.config.cold_start_seconds,
        )
        return revised, self.begin(revised, state)
