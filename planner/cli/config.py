"""`planner config`: what is set and where, a file to start from, and whether a file is right."""

from planner.cli.group import LazyGroup

command = LazyGroup(
    "config",
    package="planner.cli.configuring",
    summaries={
        "show": "Print every setting and where it was set.",
        "init": "Write a commented file of all settings.",
        "validate": "Check a file of settings, or of a fleet.",
    },
    help="Show the settings in force, write a file of them, or check one.",
)
