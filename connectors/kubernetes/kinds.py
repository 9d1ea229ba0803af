"""Which kinds of objects are scaled, and where the API has them."""

import re
from dataclasses import dataclass

from planner.errors import ConfigError

_PART = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind with a scale subresource. The core group's name is empty."""

    group: str
    version: str
    plural: str

    @classmethod
    def parse(cls, text: str) -> "Kind":
        """Return the kind in ``apps/v1/deployments``. Raises ConfigError."""
        parts = text.strip().split("/")
        if len(parts) != 3 or not all(_PART.fullmatch(part) for part in parts):
            raise ConfigError(
                f"{text!r} is not GROUP/VERSION/PLURAL",
                hint="such as leaderworkerset.x-k8s.io/v1/leaderworkersets",
            )
        return cls(group=parts[0], version=parts[1], plural=parts[2])

    @property
    def is_ordered(self) -> bool:
        """Whether the replica with the highest number always leaves first.

        A ReplicaSet picks by readiness and deletion cost; of other kinds nothing better is known.
        """
        return self != DEPLOYMENTS

    def path(self, namespace: str, name: str = "") -> str:
        """Return the path of the objects in *namespace*, or of the one called *name*."""
        base = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        path = f"{base}/namespaces/{namespace}/{self.plural}"
        return f"{path}/{name}" if name else path

    def __str__(self) -> str:
        """Return it as `parse` reads it."""
        return f"{self.group}/{self.version}/{self.plural}"


DEPLOYMENTS = Kind(group="apps", version="v1", plural="deployments")
STATEFUL_SETS = Kind(group="apps", version="v1", plural="statefulsets")
LEADER_WORKER_SETS = Kind(group="leaderworkerset.x-k8s.io", version="v1", plural="leaderworkersets")
PODS = Kind(group="", version="v1", plural="pods")
AUTOSCALERS = Kind(group="autoscaling", version="v1", plural="horizontalpodautoscalers")
QUOTAS = Kind(group="", version="v1", plural="resourcequotas")
LEASES = Kind(group="coordination.k8s.io", version="v1", plural="leases")
