"""Recorded traffic: what arrived when, and how long it was. Read by simulate, replay and demos."""

from planner.traces.read import open_trace
from planner.traces.shape import amplify, head, speed, swing, thin, window
from planner.traces.synthetic import sine, week, weekday
from planner.traces.trace import Trace

__all__ = [
    "Trace",
    "amplify",
    "head",
    "open_trace",
    "sine",
    "speed",
    "swing",
    "thin",
    "week",
    "weekday",
    "window",
]
