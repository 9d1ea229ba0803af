"""What the rules that decide about all roles at once know of a deployment."""

from collections.abc import Mapping
from dataclasses import dataclass

from planner.core.engine import EngineModel
from planner.core.policy import Bounds, PolicyConfig
from planner.core.profile import Profile
from planner.core.role import Role
from planner.core.sla import Sla


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Engines, target and limits, by role where they differ; *max_gpus* None is unlimited."""

    engines: Mapping[Role, EngineModel]
    sla: Sla
    bounds: Mapping[Role, Bounds]
    gpus: Mapping[Role, int]
    """That one replica holds."""
    max_gpus: int | None = None

    @classmethod
    def of(cls, config: PolicyConfig, profile: Profile) -> "Deployment":
        """Return the deployment that *config* describes.

        Raises ProfileError when *profile* lacks the parallelism of a role.
        """
        return cls(
            engines=config.engines(profile),
            sla=config.sla,
            bounds=config.bounds,
            gpus={role: config.gpus_per_replica(role) for role in config.roles},
            max_gpus=config.max_gpus,
        )

    @property
    def minimum(self) -> dict[Role, int]:
        """The fewest replicas of each role."""
        return {role: bounds.minimum for role, bounds in self.bounds.items()}

    def gpus_of(self, replicas: Mapping[Role, int]) -> int:
        """Return the GPUs that *replicas* hold."""
        return sum(count * self.gpus[role] for role, count in replicas.items())
