"""A running engine as the profiler measures it: by its own count of steps, under load over HTTP."""

from profiler.live.by_aiperf import AiperfEngine
from profiler.live.engine import LiveEngine
from profiler.live.reading import EngineReading, ReadEngine
from profiler.live.transfer import LivePair, Received

__all__ = ["AiperfEngine", "EngineReading", "LiveEngine", "LivePair", "ReadEngine", "Received"]
