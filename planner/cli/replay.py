"""`planner replay`: a recorded load sent to a live endpoint, and what its clients saw."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from planner.cli.output import output_option
from planner.cli.shaping import duration, shaped, shaping_options

if TYPE_CHECKING:
    from planner.core.sla import Sla


@click.command()
@shaping_options
@click.option("--url", help="Of an OpenAI endpoint; of the deployment here when left out.")
@click.option("--model", help="Model to ask for; the endpoint's only one when left out.")
@click.option("--sla", multiple=True, help="Targets: ttft=200ms,itl=20ms,attainment=99%.")
@click.option("--timeout", default="10m", show_default=True, help="Longest time for a request.")
@click.option(
    "--concurrency",
    type=click.IntRange(1),
    default=4096,
    show_default=True,
    help="Most requests at once; reaching it falsifies the result.",
)
@click.option(
    "--requests-out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write each request's measurement, one JSON a line.",
)  # fmt: skip
@output_option
def command(**given: Any) -> int:
    """Send a trace to a live endpoint and measure TTFT, ITL and the SLA's attainment.

    Requests leave when the trace says, whatever the answers do. Ctrl-C prints what was measured.
    """
    from planner.cli.live.replaying import Replaying, send
    from runtime.process import run_process

    replaying = Replaying(
        trace=shaped(given),
        url=_url(given["url"]),
        model=given["model"],
        sla=_sla(given["sla"]),
        timeout=duration("--timeout", given["timeout"]),
        concurrency=given["concurrency"],
        seed=given["seed"],
        requests_out=given["requests_out"],
    )
    return run_process(lambda stop: send(replaying, output=given["output"], stop=stop))


def _url(given: str | None) -> str:
    from planner.cli.live.address import checked_url, deployment_url

    return deployment_url() if given is None else checked_url(given)


def _sla(given: tuple[str, ...]) -> "Sla | None":
    from planner.core.sla import Sla

    return Sla.parse(",".join(given)) if given else None
