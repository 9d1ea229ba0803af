"""deploy/compose/compose.yaml as containers would be started from it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from containers import Container, addresses
from dockerfile import IMAGES, words

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "compose" / "compose.yaml"
_IMAGE = IMAGES / "Dockerfile"


def services() -> Mapping[str, dict[str, Any]]:
    found: Mapping[str, dict[str, Any]] = yaml.safe_load(FILE.read_text())["services"]
    return found


def command(service: Mapping[str, Any]) -> list[str]:
    """Return what a container of *service* runs."""
    entrypoint = service.get("entrypoint") or words(_IMAGE, "ENTRYPOINT")
    return [word.replace("$$", "$") for word in (*entrypoint, *service["command"])]


def health_check(service: Mapping[str, Any]) -> list[str]:
    """Return the command that tells its health: its own, or the image's."""
    if "healthcheck" not in service:
        return words(_IMAGE, "HEALTHCHECK")
    kind, *test = service["healthcheck"]["test"]
    assert kind == "CMD"
    return list(test)


def containers(names: Iterable[str], folder: Path) -> dict[str, Container]:
    """Return a container for each of the services *names*, with its volumes below *folder*."""
    known = services()
    hosts = addresses(list(known))
    made = {}
    for name in names:
        volumes = (volume.split(":") for volume in known[name].get("volumes", ()))
        folders = {path: folder / source for source, path, *_ in volumes}
        for each in folders.values():
            each.mkdir(exist_ok=True)
        made[name] = Container(
            name=name,
            command=command(known[name]),
            address=hosts[name],
            hosts=hosts,
            folders=folders,
            log=folder / f"{name}.log",
            env=known[name].get("environment", {}),
        )
    return made
