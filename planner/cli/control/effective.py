"""The settings of a command: its flags over the environment over a file over the deployment."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from connectors.circus.spec import DeploymentSpec, spec_path
from planner.cli.paths import state_directory
from planner.config import (
    Effective,
    from_deployment,
    from_environment,
    from_file,
    from_flags,
    settle,
)
from planner.config.deployments import read_deployments
from planner.config.settings import ConnectorKind
from planner.core.policy import Mode
from planner.errors import ConfigError


def effective(
    flags: Mapping[str, object], *, config: Path | None
) -> tuple[Effective, DeploymentSpec | None]:
    """Return the settings in force and the deployment to act on, if one is in the state folder.

    Raises ConfigError, also for a fleet in that folder whose description is not named.
    """
    settled, spec = in_force(flags, config=config)
    if spec is not None and spec.is_served_by_others:
        folder = settled.settings.state_dir or state_directory()
        raise ConfigError(
            f"the fleet in {folder} was started from a description", hint="--fleet FILE"
        )
    return _of_one(settled), spec


def in_force(
    flags: Mapping[str, object], *, config: Path | None
) -> tuple[Effective, DeploymentSpec | None]:
    """Return the settings in force and the deployment in their state folder, if one is there.

    What the deployment knows of itself fills in what was not set. Raises ConfigError.
    """
    layers = [from_environment(os.environ), from_flags(flags)]
    if config is not None:
        layers.insert(0, from_file(config))
    chosen = settle(*layers).settings
    path = spec_path(chosen.state_dir or state_directory())
    # Another store, or other servers, are another deployment: then this one has nothing to say.
    is_another = chosen.store is not None or chosen.servers or chosen.fleet
    if is_another or chosen.connector is ConnectorKind.KUBERNETES or not path.exists():
        return settle(*layers), None
    spec = DeploymentSpec.load(path)
    known = _known(spec, has_profile=chosen.profile is not None)
    return settle(from_deployment(known, path=path), *layers), spec


def _of_one(settled: Effective) -> Effective:
    """Return *settled* as it is for the one deployment that is named of several in a file."""
    settings = settled.settings
    if settings.deployments is None or settings.deployment is None:
        return settled
    state = settings.state_dir or state_directory()
    listed = read_deployments(settings.deployments, settings)
    own = listed.settings(settings.deployment, state=state)
    if own is None:
        raise ConfigError(
            f"{settings.deployments}: no table is called {settings.deployment}",
            hint=f'[{settings.deployment}], or ["*"] for every other',
        )
    return replace(settled, settings=own)


def _known(spec: DeploymentSpec, *, has_profile: bool) -> Mapping[str, object]:
    if spec.is_served_by_others:
        return {}
    return {
        "namespace": spec.namespace,
        "store": spec.store_url,
        "sla": spec.sla,
        "profile": spec.profile,
        "mode": None if has_profile or spec.profile is not None else Mode.LOAD,
        "parallelism": spec.parallelism or None,
        "cold_start": spec.cold_start,
    }
