"""`planner size`: replicas and GPUs for a steady load, from a profile alone."""

from typing import TYPE_CHECKING, Any

import click

from planner.cli.output import output_option, print_json, print_line, print_table

if TYPE_CHECKING:
    from planner.api.sizing import Recommendation
    from planner.core.sizing import Sizing


@click.command()
@click.option("--profile", required=True, metavar="P", help="Bundled profile by name, or a file.")
@click.option("--sla", required=True, help="Targets: ttft=200ms,itl=20ms,attainment=99%.")
@click.option("--rate", required=True, help="Requests a second, minute or hour: 20/s.")
@click.option("--isl", required=True, type=float, help="Mean prompt length in tokens.")
@click.option("--osl", required=True, type=float, help="Mean output length in tokens.")
@click.option(
    "--isl-p99",
    type=float,
    metavar="FLOAT",
    help="Prompt length that 99 % stay below; all are as long as the mean unless told.",
)
@click.option(
    "--gpu-price",
    type=click.FloatRange(min=0),
    metavar="FLOAT",
    help="Dollars for a GPU and hour; the profile's unless told.",
)
@click.option(
    "--roles",
    type=click.Choice(["cheapest", "disaggregated", "aggregated"]),
    default="cheapest",
    show_default=True,
    help="Prefill and decode apart, or together.",
)
@output_option
def command(**given: Any) -> None:
    """Print the fewest GPUs that hold a steady load within the SLA."""
    from planner.api.sizing import recommend
    from planner.core.sla import Sla
    from planner.core.units import parse_rate

    rate = given["rate"]
    found = recommend(
        given["profile"],
        Sla.parse(given["sla"]),
        rate=parse_rate(rate, what=f"--rate {rate}", hint="--rate {}"),
        isl=given["isl"],
        osl=given["osl"],
        isl_p99=given["isl_p99"],
        gpu_price=given["gpu_price"],
        topology=given["roles"],
    )
    if given["output"] == "json":
        print_json(found.to_dict())
    else:
        _print_report(found)


def _print_report(found: "Recommendation") -> None:
    from planner.core.units import format_rate, format_share

    load, sizing = found.workload, found.sizing
    lengths = f" (99 % below {load.isl_quantile(0.99):.0f})" if load.isl_variance else ""
    print_line(
        f"{format_rate(load.rate_rps)} of {load.isl:g} tokens in{lengths}, {load.osl:g} out"
        f"   SLA {found.sla}   profile {found.profile}"
    )
    print_table(
        ["role", "replicas", "each", "GPUs", "one holds", "attainment", "one fewer", "one more"],
        [
            [role, part.replicas, str(part.parallelism), part.gpus,
             format_rate(part.capacity_rps), format_share(part.attainment),
             None if part.one_fewer is None else format_share(part.one_fewer),
             None if part.one_more is None else format_share(part.one_more)]
            for role, part in sizing.roles.items()
        ],
    )  # fmt: skip
    print_line(_sum_of_gpus(sizing))
    if sizing.alternative is not None:
        print_line(
            f"{' and '.join(sizing.alternative.roles)} instead: " + _sum_of_gpus(sizing.alternative)
        )
    for note in sizing.notes:
        print_line(f"note: {note}")


def _sum_of_gpus(sizing: "Sizing") -> str:
    from planner.core.units import format_share

    parts = sizing.roles.values()
    each = " + ".join(f"{part.replicas}x{part.parallelism.gpus}" for part in parts)
    cost = "" if sizing.cost_per_hour is None else f", ${sizing.cost_per_hour:.2f} per hour"
    return (
        f"{sizing.gpus} GPUs ({each}){cost}, predicted attainment {format_share(sizing.attainment)}"
    )
