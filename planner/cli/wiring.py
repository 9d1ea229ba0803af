"""Puts a control loop together: the one place where settings meet what they name."""

import time
from collections.abc import Collection

from planner.config import Settings, policy, required_sla
from planner.core.policy import Mode
from planner.core.role import Role
from planner.loop import Clocks, Policy
from planner.profiles import load_profile


def clocks() -> Clocks:
    """Return the machine's clocks.

    The steady one starts at the wall's time, so that after a restart it goes on where it was, and
    then runs on its own, so that nobody can set it back.
    """
    wall, started = time.time(), time.monotonic()
    return Clocks(steady=lambda: wall + time.monotonic() - started, wall=time.time)


def check(settings: Settings) -> None:
    """Raise ConfigError or ProfileError for what can be told before anything is connected."""
    required_sla(settings)
    if settings.profile is not None:
        load_profile(settings.profile)


def policy_for(settings: Settings, roles: Collection[Role]) -> Policy:
    """Return how to decide about a deployment of *roles*.

    A role without a parallelism runs at the first one of the profile, as `planner serve` starts
    it. Raises ConfigError, and ProfileError for a profile that does not cover the settings.
    """
    if settings.profile is None:
        config, profile = policy(settings, roles), None
    else:
        profile = load_profile(settings.profile)
        first = dict.fromkeys(roles, profile.parallelisms[0])
        complete = settings.model_copy(update={"parallelism": first | dict(settings.parallelism)})
        config = policy(complete, roles)
    if config.mode is Mode.SLA:
        config.engines(profile)  # says at once what it lacks
    return Policy(config=config, profile=profile)
