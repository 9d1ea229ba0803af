"""What `planner serve` says once the deployment answers."""

import json
import shlex

from planner.cli.local.choices import Choices, PlannerMode
from planner.cli.output import print_line
from planner.cli.paths import state_directory

_PLANNER = {
    PlannerMode.OBSERVE: "the planner only observes",
    PlannerMode.APPLY: "the planner scales it",
    PlannerMode.OFF: "no planner",
}


def announce(choices: Choices, url: str, *, seconds: float) -> None:
    """Print where the deployment is, how to talk to it, and what to do next."""
    replicas = ", ".join(f"{count} {role}" for role, count in choices.replicas.items())
    print_line(
        f"Ready in {seconds:.1f}s: {url} serves {choices.model_name} ({replicas};"
        f" {_PLANNER[choices.planner]})"
    )
    print_line(f"\n  {curl(url, choices.model_name)}\n")
    if choices.state != state_directory().resolve():
        print_line(f"export PLANNER_STATE_DIR={shlex.quote(str(choices.state))}")
    told = "" if choices.planner is PlannerMode.OFF else "planner history, "
    print_line(f"Next: planner chat, planner status, {told}planner stop")


def curl(url: str, model: str) -> str:
    """Return a command that asks the deployment something."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    return (
        f"curl {url}/v1/chat/completions -H 'content-type: application/json'"
        f" -d {shlex.quote(json.dumps(body))}"
    )
