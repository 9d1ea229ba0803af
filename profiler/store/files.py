"""A folder with one JSON file a measurement, each written at once or not at all."""

import json
import os
from pathlib import Path

from planner.core.encoding import decoded, encoded
from planner.errors import PlannerError
from profiler.document import render
from profiler.record import PointRecord, StartRecord, TransferRecord
from profiler.store.keys import Key, Record

_KINDS: dict[str, type[Record]] = {
    "point": PointRecord,
    "start": StartRecord,
    "transfer": TransferRecord,
}
_NAMES = {record: name for name, record in _KINDS.items()}


class FileStore:
    """Records in *folder*, which is made where it is missing; raises PlannerError if it cannot be.

    With *fresh*, what earlier runs left there is not looked at, and overwritten.
    """

    def __init__(self, folder: Path, *, fresh: bool = False) -> None:
        self._folder = folder
        self._fresh = fresh
        self._mine: set[str] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PlannerError(
                f"{folder}: {error.strerror}", hint="choose a folder that can be written"
            ) from None

    def get(self, key: Key) -> Record | None:
        """Return what was put under *key*; None also for a file that cannot be understood.

        Such a file was written by somebody else or by another version: it is measured again.
        """
        if self._fresh and key.digest not in self._mine:
            return None
        try:
            document = json.loads(self._path(key).read_text(encoding="utf-8"))
            if document["inputs"] != key.inputs:
                return None
            return decoded(_KINDS[document["kind"]], document["record"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, key: Key, record: Record) -> None:
        """Keep *record*; raises PlannerError when the folder cannot be written."""
        document = {"kind": _NAMES[type(record)], "inputs": key.inputs, "record": encoded(record)}
        path = self._path(key)
        partial = path.with_suffix(".partial")
        try:
            with partial.open("w", encoding="utf-8") as file:
                file.write(render(document) + "\n")
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError as error:
            raise PlannerError(
                f"{path}: {error.strerror}", hint="free space, or choose another folder"
            ) from None
        self._mine.add(key.digest)

    def _path(self, key: Key) -> Path:
        return self._folder / f"{key.label}-{key.digest}.json"
