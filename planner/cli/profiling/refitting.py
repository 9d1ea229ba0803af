"""A profile fitted again from what production measured, as the planner's journal has it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from planner.cli.output import notice
from planner.cli.profiling.found import Found
from planner.cli.profiling.wanted import Wanted
from planner.core.encoding import decoded
from planner.core.observation import StepSums
from planner.core.policy import PolicyConfig
from planner.core.profile import Parallelism, Profile
from planner.core.role import Role
from planner.errors import ConfigError
from planner.journal import Journal, Run
from planner.profiles import load_profile
from profiler.choose import choose
from profiler.from_journal import Refit, refit

_USUAL = Parallelism()


def refitted(given: Mapping[str, Any], wanted: Wanted) -> Found:
    """Return the profile with the laws that the journal tells. Raises ConfigError if none."""
    path: Path = given["from_journal"]
    with Journal.read(path) as journal:
        run = _latest(journal, path)
        assert isinstance(run.config, dict), "a run with a policy has a configuration"
        policy = decoded(PolicyConfig, run.config["policy"])
        profile = _profile(given["refit"], run)
        sums = _sums(journal, run)
    notes, failures = [], []
    for role, intervals in sums.items():
        parallelism = policy.parallelism.get(role, _USUAL)
        found = refit(role, profile.engine(parallelism), intervals)
        if found is None:
            failures.append(f"{role}: {len(intervals)} intervals with steps are too few for a fit")
            continue
        profile = _with(profile, parallelism, found)
        notes.append(_told(role, parallelism, found))
    if not notes:
        raise ConfigError(
            f"--from-journal {path}: {'; '.join(failures) or 'no interval in it has step times'}",
            hint="planner run --observe records them while requests are served",
        )
    for note in notes:
        notice(note)
    profile = replace(
        profile,
        name=wanted.results.name or f"{profile.name}-refitted",
        notes=(*profile.notes, *notes),
    )
    return Found(
        profile=profile,
        choice=choose(profile, wanted.target.sla, wanted.target.workload),
        failures=failures,
        is_partial=bool(failures),
        rate_given=wanted.target.workload.rate_rps > 0,
    )


def _latest(journal: Journal, path: Path) -> Run:
    for run in reversed(journal.runs()):
        if isinstance(run.config, dict) and "policy" in run.config:
            return run
    raise ConfigError(f"--from-journal {path}: has no run", hint="planner run writes them")


def _profile(name: str | None, run: Run) -> Profile:
    """Return the profile called *name*, else the one that the run planned with."""
    if name is not None:
        return load_profile(name)
    document = run.config.get("profile") if isinstance(run.config, dict) else None
    if not isinstance(document, dict):
        raise ConfigError("the run had no profile to fit again", hint="--refit PROFILE")
    return Profile.from_dict(document, source="the profile in the journal")


def _sums(journal: Journal, run: Run) -> dict[Role, list[StepSums]]:
    """Return what each role computed in every interval of *run* that tells it."""
    found: dict[Role, list[StepSums]] = {}
    for record in journal.replay(run.id):
        observation = record.entry.observation
        for role, load in observation.load.items() if observation else ():
            if load.steps is not None:
                found.setdefault(role, []).append(load.steps)
    return found


def _with(profile: Profile, parallelism: Parallelism, found: Refit) -> Profile:
    engines = tuple(
        replace(entry, engine=found.engine) if entry.parallelism == parallelism else entry
        for entry in profile.engines
    )
    return replace(profile, engines=engines)


def _told(role: Role, parallelism: Parallelism, found: Refit) -> str:
    moved = [
        f"{one.name} {one.before:.3g} -> {one.after:.3g} s"
        for one in found.coefficients
        if one.relative_error is not None
    ]
    return (
        f"Fitted again from {found.intervals} intervals of production ({role}, {parallelism}): "
        f"mean error {found.error_before:.1%} -> {found.error_after:.1%}; "
        + (", ".join(moved) or "no coefficient could be told apart")
    )
