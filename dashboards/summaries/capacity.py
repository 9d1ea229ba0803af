"""What engines can do by their profile: laws beside measured points, and decode's trade-off."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dashboards.reading.look import Look
from planner.core.policy import PolicyConfig
from planner.core.profile import EngineProfile, Profile
from planner.core.role import Role

Rows = list[dict[str, object]]
_CURVE_POINTS = 40
FLEET = "fleet now"


def names(profile: Profile) -> list[str]:
    """Return the parallelisms of *profile*, as series are called."""
    return [str(parallelism) for parallelism in profile.parallelisms]


def prefill_points(profile: Profile) -> Rows:
    """Return the TTFT that was measured or estimated, in milliseconds over ISL."""
    return [
        _row(entry, point.isl, point.ttft_seconds * 1e3, profile.kind.value)
        for entry in profile.engines
        for point in entry.prefill_points
    ]


def prefill_curve(profile: Profile) -> Rows:
    """Return the TTFT of one prompt alone, as the fitted law has it."""
    longest = max((p.isl for e in profile.engines for p in e.prefill_points), default=8192)
    return [
        _row(entry, isl, entry.engine.prompt_seconds(isl) * 1e3, "law")
        for entry in profile.engines
        for isl in range(1, longest + 1, max(1, longest // 128))
    ]


def decode_points(profile: Profile) -> Rows:
    """Return the ITL that was measured or estimated, in milliseconds over the batch.

    Each point has a context of its own.
    """
    return [
        _row(entry, point.batch, point.itl_seconds * 1e3, f"{point.kv_tokens:,.0f} KV tokens")
        for entry in profile.engines
        for point in entry.decode_points
    ]


def decode_curve(profile: Profile, *, context_tokens: float) -> Rows:
    """Return the ITL over the batch, each request with *context_tokens* in the KV cache."""
    return [
        _row(entry, batch, entry.engine.decode.step_seconds(batch, batch * context_tokens) * 1e3,
             "law")
        for entry in profile.engines
        for batch in _batches(entry, context_tokens)
    ]  # fmt: skip


def pareto_rows(profile: Profile, *, context_tokens: float) -> Rows:
    """Return decode tokens/s per GPU over tokens/s per user, for every batch that fits."""
    rows: Rows = []
    for entry in profile.engines:
        for batch in _batches(entry, context_tokens):
            step = entry.engine.decode.step_seconds(batch, batch * context_tokens)
            per_gpu = batch / step / entry.parallelism.gpus
            rows.append(_row(entry, 1 / step, per_gpu, f"batch {batch}"))
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPoint:
    """Where a fleet is: tokens a second of a user, and of each GPU that decodes."""

    user_tokens_per_second: float
    gpu_tokens_per_second: float


def fleet_point(looks: Iterable[Look], config: PolicyConfig) -> FleetPoint | None:
    """Return where the fleet was during *looks*; None where no request told its ITL."""
    role = Role.DECODE if Role.DECODE in config.roles else Role.AGGREGATED
    tokens = seconds = itl = count = gpu_seconds = 0.0
    for look in looks:
        traffic, seen = look.traffic, look.roles.get(role)
        if traffic is None or seen is None or not seen.ready:
            continue
        tokens += traffic.osl_sum
        seconds += traffic.seconds
        itl += traffic.itl_sum
        count += traffic.itl_count
        gpu_seconds += traffic.seconds * seen.ready * config.gpus_per_replica(role)
    if not (count and itl and gpu_seconds):
        return None
    return FleetPoint(
        user_tokens_per_second=count / itl, gpu_tokens_per_second=tokens / gpu_seconds
    )


def fleet_rows(point: FleetPoint | None) -> Rows:
    """Return the mark of the fleet in the plane of `pareto_rows`."""
    if point is None:
        return []
    return [
        {
            "x": point.user_tokens_per_second,
            "value": point.gpu_tokens_per_second,
            "series": FLEET,
            "told": "ready replicas that decode",
        }
    ]


def _batches(entry: EngineProfile, context_tokens: float) -> Sequence[int]:
    return _spread(1, max(1, entry.engine.batch_limit(context_tokens)))


def _spread(first: int, last: int) -> list[int]:
    """Return about forty whole numbers from *first* to *last*, denser where they are small."""
    ratio = (last / first) ** (1 / _CURVE_POINTS)
    return sorted({round(first * ratio**power) for power in range(_CURVE_POINTS + 1)})


def _row(entry: EngineProfile, x: float, value: float, told: str) -> dict[str, object]:
    return {"x": x, "value": round(value, 4), "series": str(entry.parallelism), "told": told}
