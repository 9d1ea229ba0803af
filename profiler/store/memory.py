"""A store that forgets with its process: for sweeps that are not to be resumed, and for tests."""

from profiler.store.keys import Key, Record


class MemoryStore:
    """Records in a dict by digest."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}

    def get(self, key: Key) -> Record | None:
        """Return what was put under *key*, or None."""
        return self.records.get(key.digest)

    def put(self, key: Key, record: Record) -> None:
        """Keep *record*."""
        self.records[key.digest] = record
