"""The ways to a profile: measured here, estimated, fitted again, or from points of others."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from planner.cli.exits import Exit
from planner.cli.output import notice
from planner.cli.paths import state_directory
from planner.cli.profiling.finish import finish
from planner.cli.profiling.measuring import Interrupted, Keeping, measure
from planner.cli.profiling.planned import print_plan
from planner.cli.profiling.rig import LocalRig, find_aiperf
from planner.cli.profiling.setting import setting
from planner.cli.profiling.wanted import Wanted

if TYPE_CHECKING:
    from planner.cli.profiling.found import Found

_START_SECONDS = 1800.0
_SAMPLE_SECONDS = 600.0


def profile(given: Mapping[str, Any]) -> int:
    """Make the profile that the flags *given* ask for; return the exit code."""
    wanted = Wanted.of(given)
    if given["estimate"]:
        from planner.cli.profiling.estimating import estimate

        return finish(asyncio.run(estimate(given, wanted)), wanted.results)
    if given["from_journal"] is not None:
        from planner.cli.profiling.refitting import refitted

        return finish(refitted(given, wanted), wanted.results)
    if given["imported"]:
        from planner.cli.profiling.importing import imported

        return finish(imported(given, wanted), wanted.results)
    return _measured(given, wanted)


def _measured(given: Mapping[str, Any], wanted: Wanted) -> int:
    from runtime.process import run_process

    chosen = setting(given, wanted)
    if given["dry_run"]:
        print_plan(chosen, output=wanted.results.output)
        return 0
    chosen.kind.check()
    with_aiperf = given["load_generator"] == "aiperf"
    rig = LocalRig(
        chosen.kind,
        gpu=chosen.gpu,
        has_gpu=chosen.has_gpu,
        start_seconds=_START_SECONDS,
        sample_seconds=_SAMPLE_SECONDS,
        aiperf=find_aiperf(given["aiperf"]) if with_aiperf else None,
    )
    keeping = Keeping(
        folder=given["points_folder"] or state_directory() / "profiling",
        fresh=given["fresh"],
        retry_failed=given["retry_failed"],
    )
    found: list[Found] = []

    async def main(stop: Any) -> int:
        try:
            found.append(await measure(chosen, rig, wanted, keeping=keeping, stop=stop))
        except Interrupted:
            return Exit.INTERRUPTED
        return 0

    code = run_process(main)
    for difference in rig.differences:
        notice(f"differs: {difference}")
    return finish(found[0], wanted.results) if found else code
