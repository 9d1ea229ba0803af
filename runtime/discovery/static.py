"""A store that is a file of addresses: discovery without etcd, for a fixed set of instances."""

from pathlib import Path

import msgspec

from runtime.discovery.memory import MemoryBackend, MemoryWatch
from runtime.discovery.static_file import read_deployment
from runtime.errors import InvalidDeployment, StoreUnavailable
from runtime.instance import InstanceRecord, decode_record

_INSTANCES = "instances/"
_MODELS = "models/"


class StaticStore:
    """The entries of the file; what a process writes about itself is seen by that process alone.

    Every listed instance counts as ready from the start: one that does not run is noticed when a
    request finds nobody there.
    """

    def __init__(self, path: Path) -> None:
        """Read *path*. Raises InvalidDeployment."""
        self._path = path
        self._listed = dict(read_deployment(path))
        self._backend = MemoryBackend()
        self._closed = False
        for key, value in self._listed.items():
            self._backend.write(key, value, owner=None)

    @property
    def healthy(self) -> bool:
        """Whether it is open."""
        return not self._closed

    async def put(self, key: str, value: bytes, *, leased: bool = False) -> None:
        """Note, for this process alone, what an instance of the file says about itself.

        Raises InvalidDeployment for any other key and for a record that the file contradicts.
        """
        self._require()
        if not leased or not key.startswith((_INSTANCES, _MODELS)):
            raise InvalidDeployment(f"static file {self._path} keeps no settings: {key}")
        if key not in self._listed:
            raise InvalidDeployment(f"static file {self._path} does not list {key}")
        if key.startswith(_INSTANCES):
            self._require_same_place(key, value)
        self._backend.write(key, value, owner=None)

    async def create(self, key: str, value: bytes, *, leased: bool = True) -> bool:  # noqa: ARG002
        """Raise InvalidDeployment: processes that share only a file cannot agree on an owner."""
        raise InvalidDeployment(f"static file {self._path} cannot say who owns {key}")

    async def get(self, key: str) -> bytes | None:
        """Return the value, or None. Raises StoreUnavailable once closed."""
        self._require()
        return self._backend.read(key)

    async def delete(self, key: str) -> None:
        """Forget *key* in this process. Raises StoreUnavailable once closed."""
        self._require()
        self._backend.remove(key)

    async def watch(self, prefix: str) -> MemoryWatch:
        """Return a watch on *prefix*. Raises StoreUnavailable once closed."""
        self._require()
        return self._backend.watch(prefix)

    async def close(self) -> None:
        """Refuse everything from here on."""
        self._closed = True

    def _require(self) -> None:
        if self._closed:
            raise StoreUnavailable("the static store is closed")

    def _require_same_place(self, key: str, value: bytes) -> None:
        try:
            found, listed = decode_record(value), decode_record(self._listed[key])
        except msgspec.DecodeError as error:
            raise InvalidDeployment(f"{key} is not an instance record: {error}") from None
        if _place(found) != _place(listed):
            raise InvalidDeployment(
                f"static file {self._path} lists {key} at {listed.subject}, not {found.subject}"
            )


def _place(record: InstanceRecord) -> tuple[str, str]:
    return record.key, record.subject
