"""Open-loop load: a recorded trace sent to a live OpenAI endpoint, each request measured."""

from planner.replay.endpoint import Endpoint
from planner.replay.load import Load, replay
from planner.replay.measurement import Measurement, Status
from planner.replay.report import Report, report

__all__ = ["Endpoint", "Load", "Measurement", "Report", "Status", "replay", "report"]
