"""`planner simulate`: the production decision on a trace, on a virtual clock."""

from typing import Any

import click

from planner.cli.output import notice, output_option, print_json
from planner.cli.shaping import shaping_options
from planner.cli.sim.options import simulation_options


@click.command()
@shaping_options
@simulation_options
@output_option
def command(**given: Any) -> None:
    """Backtest: what the planner would have done on a recorded load, and what came of it.

    Without numbers of replicas the fleet begins with what its first minute needs. The same load
    can be given to a fixed fleet and to the rules of other autoscalers, and be compared with what
    perfect foresight would need.
    """
    from planner.cli.sim.asked import simulated
    from planner.cli.sim.page import print_page

    runs = simulated(given)
    if given["report"] is not None:
        from planner.cli.sim.report import write_report

        write_report(given["report"], runs)
        notice(f"report: {given['report']}")
    if given["output"] == "json":
        print_json(runs.to_dict())
    else:
        print_page(runs)
