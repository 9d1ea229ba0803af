"""What a profile is made for: it decides where points are worth the most, not what is measured."""

from dataclasses import dataclass

from planner.core.sla import Sla
from planner.core.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The SLA and the lengths of the requests to be served within it."""

    sla: Sla
    workload: Workload
