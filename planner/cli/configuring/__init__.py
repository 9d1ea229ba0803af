"""The commands of `planner config`."""
