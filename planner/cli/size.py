"""`planner size`: replicas and GPUs for a steady load, from a profile alone."""

from typing import TYPE_CHECKING, Any

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
    from dataclasses import replace

    from planner.core.policy import AGGREGATED, DISAGGREGATED
    from planner.core.sizing import size, with_long_prompts
    from planner.core.sla import Sla
    from planner.core.units import parse_rate
    from planner.core.workload import Workload
    from planner.profiles import load_profile

    sla, rate, isl = Sla.parse(given["sla"]), given["rate"], given["isl"]
    rate_rps = parse_rate(rate, what=f"--rate {rate}", hint="--rate {}")
    load = Workload(rate_rps=rate_rps, isl=isl, osl=given["osl"])
    if given["isl_p99"] is not None:
        load = with_long_prompts(load, given["isl_p99"])
    profile = load_profile(given["profile"])
    if given["gpu_price"] is not None:
        profile = replace(profile, gpu_price_per_hour=given["gpu_price"])
    topologies = {"disaggregated": DISAGGREGATED, "aggregated": AGGREGATED}
    sizing = size(profile, sla, load, roles=topologies.get(given["roles"]))
    if given["output"] == "json":
        _print_document(sla, load, sizing, profile=given["profile"])
    else:
        _print_report(sla, load, sizing, profile=given["profile"])


def _print_document(sla: "Sla", load: "Workload", sizing: "Sizing", *, profile: str) -> None:
    from planner.cli.decisions import sla_document

    print_json(
        {
            "profile": profile,
            "sla": sla_document(sla),
            "workload": _workload_document(load),
            **_fleet_document(sizing),
            "notes": sizing.notes,
            "alternative": sizing.alternative and _fleet_document(sizing.alternative),
        }
    )


def _workload_document(load: "Workload") -> dict[str, float]:
    document = {"rate_rps": load.rate_rps, "isl": load.isl, "osl": load.osl}
    return document | ({"isl_p99": load.isl_quantile(0.99)} if load.isl_variance else {})


def _fleet_document(sizing: "Sizing") -> dict[str, object]:
    return {
        "roles": {
            role: {
                "replicas": part.replicas,
                "parallelism": str(part.parallelism),
                "gpus": part.gpus,
                "capacity_rps": part.capacity_rps,
                "attainment": part.attainment,
                "attainment_one_fewer": part.one_fewer,
                "attainment_one_more": part.one_more,
            }
            for role, part in sizing.roles.items()
        },
        "gpus": sizing.gpus,
        "cost_per_hour": sizing.cost_per_hour,
        "attainment": sizing.attainment,
    }


def _print_report(sla: "Sla", load: "Workload", sizing: "Sizing", *, profile: str) -> None:
    from planner.core.units import format_rate, format_share

    lengths = f" (99 % below {load.isl_quantile(0.99):.0f})" if load.isl_variance else ""
    print_line(
        f"{format_rate(load.rate_rps)} of {load.isl:g} tokens in{lengths}, {load.osl:g} out"
        f"   SLA {sla}   profile {profile}"
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
