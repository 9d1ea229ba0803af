"""From a sweep to its outcome: the profile, what it recommends, and what is missing."""

from dataclasses import dataclass, replace
from statistics import median

from planner.core.profile import Kind, Profile
from planner.errors import ProfileError
from profiler.choose import Choice, choose
from profiler.fit.engines import Assumed, FittedEngine, fit_engine
from profiler.record import TransferRecord
from profiler.sweep.result import Swept
from profiler.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """What a profile says of itself beside its figures."""

    name: str
    model: str
    gpu: str
    source: str
    licence: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The profile and the choice under its target. *failures* is a line for all that is missing."""

    profile: Profile
    engines: tuple[FittedEngine, ...]
    choice: Choice
    failures: tuple[str, ...]
    is_partial: bool


def outcome(swept: Swept, heading: Heading, target: Target, *, assumed: Assumed) -> Outcome:
    """Return what *swept* comes to.

    Raises ProfileError, with all failures in it, where no engine has points enough.
    """
    rate = None if swept.transfer is None else swept.transfer.bytes_per_second
    known = assumed if rate is None else replace(assumed, transfer_bytes_per_second=rate)
    engines: list[FittedEngine] = []
    failures: list[str] = []
    versions: list[str] = []
    for measured in swept.engines:
        failures += measured.failures
        if measured.facts is None:
            if measured.failure is None:
                failures.append(f"{measured.parallelism}: not started, time was up")
            continue
        try:
            engines.append(fit_engine(measured, known))
        except ProfileError as error:
            failures.append(f"{measured.parallelism}: not in the profile: {error}")
        else:
            versions.append(measured.facts.engine_version)
    if not engines:
        raise ProfileError(
            "nothing was measured: " + "; ".join(failures or ["no engine was planned"]),
            hint="run it again: what was measured is kept",
        )
    profile = Profile(
        name=heading.name,
        model=heading.model,
        gpu=heading.gpu,
        engine_version=", ".join(dict.fromkeys(versions)),
        kind=Kind.MEASURED,
        source=heading.source,
        licence=heading.licence,
        engines=tuple(fitted.entry for fitted in engines),
        notes=(*heading.notes, *_assumptions(swept, assumed)),
    )
    return Outcome(
        profile=profile,
        engines=tuple(engines),
        choice=choose(profile, target.sla, target.workload),
        failures=tuple(failures),
        is_partial=swept.is_partial or bool(failures),
    )


def _assumptions(swept: Swept, assumed: Assumed) -> list[str]:
    """Return a sentence for everything in the limits that no engine told."""
    notes = []
    facts = [engine.facts for engine in swept.engines if engine.facts is not None]
    if any(found.kv_bytes_per_token is None for found in facts):
        notes.append(
            f"KV bytes per token: {assumed.kv_bytes_per_token}, computed from the model's shape."
        )
    if any(found.transfer_bytes_per_second is None for found in facts):
        notes.append(f"KV transfer rate: {_told(swept.transfer, assumed)}.")
    return notes


def _told(transfer: TransferRecord | None, assumed: Assumed) -> str:
    """Return how fast KV moves, and how that is known."""
    rate = None if transfer is None else transfer.bytes_per_second
    if transfer is None or rate is None:
        why = "" if transfer is None else f": {transfer.parallelism}: {transfer.failure}"
        known = assumed.transfer_bytes_per_second / 1e9
        return f"{known:g} GB/s a GPU, assumed and not measured{why}"
    prompts = transfer.samples
    tokens = median(sample.tokens for sample in prompts)
    return (
        f"{rate / 1e9:.3g} GB/s a GPU, measured: the median of {len(prompts)} prompts of "
        f"{tokens:g} tokens from one {transfer.parallelism} to another, by the receiver's clock"
    )
