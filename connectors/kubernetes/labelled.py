"""Objects by name, and by the value of one label, so that nobody looks through all of them."""

from collections.abc import Collection, Iterable, Mapping

from connectors.kubernetes.api import Json


class Labelled:
    """Objects by their names; those that have *label* are also found by its value."""

    def __init__(self, label: str = "") -> None:
        self._label = label
        self._objects: dict[str, Json] = {}
        self._groups: dict[str, dict[str, Json]] = {}

    @property
    def objects(self) -> Mapping[str, Json]:
        """All of them."""
        return self._objects

    @property
    def values(self) -> Collection[str]:
        """Every value that the label has somewhere."""
        return self._groups.keys()

    def of(self, value: str) -> Collection[Json]:
        """Return those whose label has *value*."""
        return self._groups.get(value, {}).values()

    def put(self, item: Json) -> None:
        """Take *item* in place of what has its name."""
        name: str = item["metadata"]["name"]
        self.drop(name)
        self._objects[name] = item
        value = self._value(item)
        if value is not None:
            self._groups.setdefault(value, {})[name] = item

    def drop(self, name: str) -> None:
        """Forget what is called *name*, if there is such."""
        old = self._objects.pop(name, None)
        value = None if old is None else self._value(old)
        if value is not None:
            group = self._groups[value]
            del group[name]
            if not group:
                del self._groups[value]

    def become(self, items: Iterable[Json]) -> None:
        """Hold *items* and nothing else."""
        self._objects, self._groups = {}, {}
        for item in items:
            self.put(item)

    def _value(self, item: Json) -> str | None:
        return (item["metadata"].get("labels") or {}).get(self._label)
