"""`planner size`: replicas and GPUs for a steady load, from a profile alone."""

from typing import TYPE_CHECKING

import click

from planner.cli.output import output_option, print_json, print_line, print_table

if TYPE_CHECKING:
    from planner.core.sizing import Sizing
    from planner.core.sla import Sla
    from planner.core.workload import Workload


@click.command()
@click.option("--profile", required=True, metavar="P", help="Bundled profile by name, or a file.")
@click.option("--sla", required=True, help="Targets: ttft=200ms,itl=20ms,attainment=99%.")
@click.option("--rate", required=True, help="Requests a second, minute or hour: 20/s.")
@click.option("--isl", required=True, type=float, help="Mean prompt length in tokens.")
@click.option("--osl", required=True, type=float, help="Mean output length in tokens.")
@click.option(
    "--roles",
    type=click.Choice(["cheapest", "disaggregated", "aggregated"]),
    default="cheapest",
    show_default=True,
    help="Prefill and decode apart, or together.",
)
@output_option
def command(**given: str) -> None:
    """Print the fewest GPUs that hold a steady load within the SLA."""
    from planner.core.policy import AGGREGATED, DISAGGREGATED
    from planner.core.sizing import size
    from planner.core.sla import Sla
    from planner.core.units import parse_rate
    from planner.core.workload import Workload
    from planner.profiles import load_profile

    sla, rate = Sla.parse(given["sla"]), given["rate"]
    load = Workload(
        rate_rps=parse_rate(rate, what=f"--rate {rate}", hint="--rate {}"),
        isl=float(given["isl"]),
        osl=float(given["osl"]),
    )
    topologies = {"disaggregated": DISAGGREGATED, "aggregated": AGGREGATED}
    sizing = size(load_profile(given["profile"]), sla, load, roles=topologies.get(given["roles"]))
    if given["output"] == "json":
        _print_document(sla, load, sizing, profile=given["profile"])
    else:
        _print_report(sla, load, sizing, profile=given["profile"])


def _print_document(sla: "Sla", load: "Workload", sizing: "Sizing", *, profile: str) -> None:
    from planner.cli.decisions import sla_document

    roles = {
        role: {
            "replicas": part.replicas,
            "parallelism": str(part.parallelism),
            "gpus": part.gpus,
            "capacity_rps": part.capacity_rps,
            "attainment": part.attainment,
        }
        for role, part in sizing.roles.items()
    }
    print_json(
        {
            "profile": profile,
            "sla": sla_document(sla),
            "workload": {"rate_rps": load.rate_rps, "isl": load.isl, "osl": load.osl},
            "roles": roles,
            "gpus": sizing.gpus,
            "cost_per_hour": sizing.cost_per_hour,
            "attainment": sizing.attainment,
        }
    )


def _print_report(sla: "Sla", load: "Workload", sizing: "Sizing", *, profile: str) -> None:
    from planner.core.units import format_rate, format_share

    print_line(
        f"{format_rate(load.rate_rps)} of {load.isl:g} tokens in, {load.osl:g} out"
        f"   SLA {sla}   profile {profile}"
    )
    print_table(
        ["role", "replicas", "each", "GPUs", "one holds", "attainment"],
        [
            [role, part.replicas, str(part.parallelism), part.gpus,
             format_rate(part.capacity_rps), format_share(part.attainment)]
            for role, part in sizing.roles.items()
        ],
    )  # fmt: skip
    sum_of_gpus = " + ".join(
        f"{part.replicas}x{part.parallelism.gpus}" for part in sizing.roles.values()
    )
    cost = "" if sizing.cost_per_hour is None else f", ${sizing.cost_per_hour:.2f} per hour"
    print_line(
        f"{sizing.gpus} GPUs ({sum_of_gpus}){cost}, "
        f"predicted attainment {format_share(sizing.attainment)}"
    )
