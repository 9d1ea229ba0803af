"""The manifests, each overlay as a whole."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from manifests import BASE, OVERLAYS, built

Item = dict[str, Any]


@dataclass
class Built:
    """What an overlay is built to."""

    name: str
    items: list[Item] = field(repr=False)

    def of(self, *kinds: str) -> list[Item]:
        return [item for item in self.items if item["kind"] in kinds]

    def named(self, kind: str, name: str) -> Item:
        (item,) = [one for one in self.of(kind) if one["metadata"]["name"] == name]
        return item

    @property
    def workloads(self) -> list[Item]:
        return self.of("Deployment", "StatefulSet")

    @property
    def settings(self) -> dict[str, str]:
        return self.named("ConfigMap", "planner")["data"]


@cache
def overlay(folder: Path) -> Built:
    return Built(folder.name, built(folder))


@pytest.fixture(params=[BASE, *OVERLAYS], ids=lambda path: path.name)
def manifest(request: pytest.FixtureRequest) -> Built:
    return overlay(request.param)


@pytest.fixture(scope="session")
def base() -> Built:
    return overlay(BASE)
