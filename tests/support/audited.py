"""What planners asked of an API server, read from its audit log."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

READS = frozenset({"get", "list", "watch"})


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: *what* is ``deployments/scale``, *at* is when it was answered."""

    at: float
    who: str
    verb: str
    what: str
    name: str
    status: int
    body: dict[str, Any]

    @property
    def is_write(self) -> bool:
        return self.verb not in READS

    @property
    def succeeded(self) -> bool:
        return self.status in (200, 201)


def read_audit(path: Path, namespace: str) -> Sequence[Asked]:
    """Return the requests in *namespace* in the order of their answers."""
    found = []
    for line in path.read_text().splitlines():
        event = json.loads(line)
        target = event.get("objectRef") or {}
        if event["stage"] == "ResponseComplete" and target.get("namespace") == namespace:
            sub = target.get("subresource")
            found.append(
                Asked(
                    at=datetime.fromisoformat(event["stageTimestamp"]).timestamp(),
                    who=event["user"]["username"],
                    verb=event["verb"],
                    what=target["resource"] + (f"/{sub}" if sub else ""),
                    name=target.get("name", ""),
                    status=event["responseStatus"]["code"],
                    body=event.get("requestObject") or {},
                )
            )
    return sorted(found, key=lambda one: one.at)
