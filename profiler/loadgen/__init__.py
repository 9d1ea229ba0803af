"""Load for one engine over HTTP: a prompt alone, or many requests that are held in decoding."""

from profiler.loadgen.bursts import is_bursty
from profiler.loadgen.client import Answer, Client, NoAnswer, Stream
from profiler.loadgen.prompts import Prompts

__all__ = ["Answer", "Client", "NoAnswer", "Prompts", "Stream", "is_bursty"]
