"""The command that acts on what a preview was about."""

import shlex
from pathlib import Path

from connectors.circus.spec import DeploymentSpec
from planner.cli.configuring.rows import written
from planner.config import Effective
from planner.config.settings import ConnectorKind

_FLAG = "--"
_NOT_TO_ACT = "observe"


def how_to_act(
    settled: Effective, spec: DeploymentSpec | None, *, config: Path | None
) -> str | None:
    """Return the `planner run` that keeps what was settled here; None where it could not act."""
    on_kubernetes = settled.settings.connector is ConnectorKind.KUBERNETES
    if spec is None and settled.settings.fleet is None and not on_kubernetes:
        return None
    values = {name: value for name, value, _ in settled.rows}
    set_by_flag = [
        name
        for name, origin in settled.origins.items()
        if origin.startswith(_FLAG) and name != _NOT_TO_ACT
    ]
    words = ["planner", "run"]
    if config is not None:
        words += ["--config", str(config)]
    names = [*set_by_flag, *([] if "sla" in set_by_flag or config else ["sla"])]
    for name in names:
        words += [f"{_FLAG}{name.replace('_', '-')}", written(values[name]) or ""]
    return shlex.join(words)
