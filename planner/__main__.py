"""`python -m planner`: the same program as `planner`."""

from planner.cli.main import run

run()
