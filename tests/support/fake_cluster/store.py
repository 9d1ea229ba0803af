"""Objects with versions, and the history that watches follow."""

import copy
import itertools
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import Queue

Json = dict[str, Any]
Key = tuple[str, str]
"""Path of the collection, and name."""


class Refusal(Exception):
    """An answer of the API server that is not 2xx."""

    def __init__(self, status: int, reason: str, message: str = "") -> None:
        super().__init__(message)
        self.status, self.reason = status, reason

    def body(self) -> Json:
        return {
            "kind": "Status", "apiVersion": "v1", "status": "Failure",
            "reason": self.reason, "message": str(self) or self.reason, "code": self.status,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    version: int
    path: str
    before: Json | None
    after: Json | None


def labels_fit(item: Json | None, selector: str) -> bool:
    """Whether *item* exists and fits ``key`` and ``key=value`` terms."""
    if item is None:
        return False
    labels = item["metadata"].get("labels") or {}
    for term in filter(None, selector.split(",")):
        key, has_value, value = term.partition("=")
        if key not in labels or (has_value and labels[key] != value):
            return False
    return True


@dataclass
class Store:
    objects: dict[Key, Json] = field(default_factory=dict)
    history: list[Change] = field(default_factory=list)
    watchers: set["Queue[Change | None]"] = field(default_factory=set)
    listeners: list[Callable[[Change], None]] = field(default_factory=list)
    version: int = 100
    compacted: int = 0
    _uids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def get(self, path: str, name: str) -> Json:
        if (path, name) not in self.objects:
            raise Refusal(404, "NotFound", f"{path.rpartition('/')[2]} {name!r} not found")
        return copy.deepcopy(self.objects[path, name])

    def list(self, path: str, selector: str = "") -> list[Json]:
        found = sorted((n, o) for (p, n), o in self.objects.items() if p == path)
        return [copy.deepcopy(o) for _, o in found if labels_fit(o, selector)]

    def create(self, path: str, item: Json) -> Json:
        meta = item.setdefault("metadata", {})
        name = meta.get("name") or f"{meta['generateName']}{secrets.token_hex(3)}"
        if (path, name) in self.objects:
            raise Refusal(409, "AlreadyExists", f"{name} already exists")
        meta |= {"name": name, "uid": f"uid-{next(self._uids)}", "namespace": path.split("/")[-2]}
        return self._write(path, name, item)

    def update(self, path: str, name: str, item: Json) -> Json:
        """Replace the object; a version in *item* must be the present one."""
        present = self.get(path, name)
        version = item["metadata"].get("resourceVersion")
        if version and version != present["metadata"]["resourceVersion"]:
            raise Refusal(409, "Conflict", "the object has been modified")
        same = copy.deepcopy(item)
        same["metadata"]["resourceVersion"] = present["metadata"]["resourceVersion"]
        return present if same == present else self._write(path, name, item)

    def remove(self, path: str, name: str) -> None:
        before = self.get(path, name)
        del self.objects[path, name]
        self._tell(path, before, None)

    def compact(self) -> None:
        """Forget the history: watches from before now are answered 410."""
        self.history.clear()
        self.compacted = self.version

    def _write(self, path: str, name: str, item: Json) -> Json:
        before = self.objects.get((path, name))
        item = copy.deepcopy(item)
        item["metadata"]["resourceVersion"] = str(self.version + 1)
        self.objects[path, name] = item
        self._tell(path, before, item)
        return copy.deepcopy(item)

    def _tell(self, path: str, before: Json | None, after: Json | None) -> None:
        self.version += 1
        change = Change(self.version, path, before, after)
        self.history.append(change)
        for queue in self.watchers:
            queue.put_nowait(change)
        for listener in self.listeners:
            listener(change)


def merged(into: Any, patch: Any) -> Any:
    """JSON merge patch."""
    if not isinstance(patch, dict):
        return patch
    result = dict(into) if isinstance(into, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def json_patched(item: Json, operations: list[Json]) -> Json:
    """JSON patch of what is reached by names: test, add, replace and remove."""
    result = copy.deepcopy(item)
    for one in operations:
        *parents, last = [
            p.replace("~1", "/").replace("~0", "~") for p in one["path"].split("/")[1:]
        ]
        place = result
        for part in parents:
            place = place[part]
        if one["op"] == "test" and place.get(last) != one["value"]:
            raise Refusal(422, "Invalid", "the server rejected our request")
        if one["op"] in ("add", "replace"):
            place[last] = one["value"]
        if one["op"] == "remove":
            place.pop(last)
    return result
