"""The planner's settings: one typed model, filled from file < environment < flags."""

from planner.config.layers import (
    Layer,
    from_deployment,
    from_environment,
    from_file,
    from_flags,
)
from planner.config.settings import Settings, policy, required_sla
from planner.config.settle import Effective, settle

__all__ = [
    "Effective",
    "Layer",
    "Settings",
    "from_deployment",
    "from_environment",
    "from_file",
    "from_flags",
    "policy",
    "required_sla",
    "settle",
]
