"""What a replica does. One enum, so that nothing is written twice for prefill and decode."""

from enum import StrEnum


class Role(StrEnum):
    """The part of a request that a replica serves; the value is what operators read."""

    PREFILL = "prefill"
    DECODE = "decode"
    AGGREGATED = "aggregated"
