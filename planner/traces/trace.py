"""A recorded load as columns, one row a request, in order of arrival."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
HashIds = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """Requests in order of arrival; every column has one row a request.

    *arrival_seconds* counts from the first request of the recording. *hash_ids* names the
    prefix blocks of each prompt where the recording has them: equal ids, equal prefix.
    """

    name: str
    arrival_seconds: Floats
    isl: Ints
    osl: Ints
    hash_ids: HashIds | None = None

    def __len__(self) -> int:
        """Return the number of requests."""
        return len(self.arrival_seconds)

    @property
    def duration_seconds(self) -> float:
        """Time of the last arrival; 0.0 for an empty trace."""
        return float(self.arrival_seconds[-1]) if len(self) else 0.0

    @property
    def requests_per_second(self) -> float | None:
        """Mean arrival rate; None when the trace spans no time."""
        return len(self) / self.duration_seconds if self.duration_seconds > 0 else None

    def rows(self, chosen: npt.NDArray[Any], arrival_seconds: Floats) -> "Trace":
        """Return the *chosen* rows (indices or a mask), arriving at *arrival_seconds*."""
        kept = np.arange(len(self))[chosen]
        ids = None if self.hash_ids is None else tuple(self.hash_ids[i] for i in kept)
        return Trace(
            name=self.name,
            arrival_seconds=np.asarray(arrival_seconds, dtype=np.float64),
            isl=self.isl[kept],
            osl=self.osl[kept],
            hash_ids=ids,
        )
