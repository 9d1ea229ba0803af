"""From what an engine measured to its entry of a profile."""

from collections.abc import Iterable
from dataclasses import dataclass

from planner.core.engine import EngineLimits, EngineModel
from planner.core.profile import EngineProfile, StartUp
from planner.errors import ProfileError
from profiler.fit.curve import DecodeCurve, PrefillCurve, decode_curve, prefill_curve
from profiler.ports import EngineFacts
from profiler.record import PointRecord, PrefillAsk
from profiler.sweep.result import MeasuredEngine

ADAPTER_BYTES_PER_SECOND = 50e9
"""Of one 400 Gb/s network adapter: what moves KV where nobody measured it, one for each GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """What stands in for facts that an engine does not tell."""

    kv_bytes_per_token: int
    transfer_bytes_per_second: float = ADAPTER_BYTES_PER_SECOND
    """Of one GPU: those of an engine send side by side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedEngine:
    """One parallelism's entry, and the curves that reports draw."""

    entry: EngineProfile
    prefill: PrefillCurve
    decode: DecodeCurve


def fit_engine(measured: MeasuredEngine, assumed: Assumed) -> FittedEngine:
    """Return the entry of *measured*; raises ProfileError where its points are too few."""
    facts = measured.facts
    if facts is None:
        raise ProfileError(f"{measured.parallelism}: did not start", hint="see its failure")
    limits = _limits(facts, assumed, gpus=measured.parallelism.gpus)
    prefill = prefill_curve(measured.prefill_points, limits)
    decode = decode_curve(measured.decode_points, limits)
    asked = [isinstance(record.ask, PrefillAsk) for record in measured.records]
    pairs = list(zip(asked, measured.records, strict=True))
    entry = EngineProfile(
        parallelism=measured.parallelism,
        engine=EngineModel(prefill=prefill.law, decode=decode.law, limits=limits),
        prefill_points=tuple(sorted(measured.prefill_points, key=lambda p: p.isl)),
        decode_points=tuple(sorted(measured.decode_points, key=lambda p: (p.kv_tokens, p.batch))),
        # One start is one value: both shares of it are the same.
        start_up=StartUp(p50_seconds=facts.start_up_seconds, p90_seconds=facts.start_up_seconds),
        prefill_accuracy=prefill.errors.accuracy(
            confidence=_confidence(record for is_prefill, record in pairs if is_prefill)
        ),
        decode_accuracy=decode.errors.accuracy(
            confidence=_confidence(record for is_prefill, record in pairs if not is_prefill)
        ),
    )
    return FittedEngine(entry=entry, prefill=prefill, decode=decode)


def _limits(facts: EngineFacts, assumed: Assumed, *, gpus: int) -> EngineLimits:
    return EngineLimits(
        max_num_batched_tokens=facts.max_num_batched_tokens,
        max_num_seqs=facts.max_num_seqs,
        block_size=facts.block_size,
        kv_capacity_tokens=facts.kv_capacity_tokens,
        kv_bytes_per_token=facts.kv_bytes_per_token or assumed.kv_bytes_per_token,
        transfer_bytes_per_second=facts.transfer_bytes_per_second
        or assumed.transfer_bytes_per_second * gpus,
    )


def _confidence(records: Iterable[PointRecord]) -> float | None:
    """Return the widest interval among points that succeeded; None where none was repeated."""
    widths = [record.half_width for record in records if record.failure is None]
    return max((width for width in widths if width is not None), default=None)
