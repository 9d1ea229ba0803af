"""NVIDIA Dynamo's SLA planner of mid-2025: last interval's load over profiled throughput.

It serves prefill with decode only. The profile's engine model takes the place of the interpolated
sweep, at the sweep's own points: a prompt alone for prefill, the fullest batch in time for decode.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from planner.core.observation import Observation, Traffic
from planner.core.policy import DISAGGREGATED, PolicyConfig
from planner.core.profile import Profile
from planner.core.role import Role
from planner.errors import ConfigError
from planner.peers.deployment import Deployment
from planner.peers.pace import PacedPolicy
from planner.peers.peer import Peer
from planner.peers.rounding import whole
from planner.peers.traffic import lengths

_INTERVAL_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputSettings:
    """One deployment, and the options of the rule."""

    deployment: Deployment
    headroom: float = 1.0
    has_correction: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputState:
    """How far latencies were from what the profile says; 1 until something was measured."""

    prefill_correction: float = 1.0
    decode_correction: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputInputs:
    """Means of the last interval; a mean of None is unknown."""

    seconds: float
    requests: float
    isl: float
    osl: float
    ttft_seconds: float | None
    itl_seconds: float | None
    decode_ready: int


def decide_throughput(
    settings: ThroughputSettings, state: ThroughputState, inputs: ThroughputInputs
) -> tuple[ThroughputState, dict[Role, int] | None]:
    """Return the replicas of the next interval, load being taken as that of the last one.

    None where a latency is unknown: the interval is skipped. An interval without requests is a load
    of zero, as later versions have it.
    """
    if not inputs.requests:
        return state, settings.deployment.minimum
    if inputs.ttft_seconds is None or inputs.itl_seconds is None:
        return state, None
    if settings.has_correction:
        state = _corrected(settings, inputs, inputs.ttft_seconds, inputs.itl_seconds)
    wanted = {
        Role.PREFILL: _prefill_replicas(settings, state, inputs),
        Role.DECODE: _decode_replicas(settings, state, inputs),
    }
    least = settings.deployment.minimum
    floored = {role: max(count, least[role]) for role, count in wanted.items()}
    return state, _within_budget(settings.deployment, floored)


def _corrected(
    settings: ThroughputSettings, inputs: ThroughputInputs, ttft: float, itl: float
) -> ThroughputState:
    """Return observed over expected TTFT and ITL.

    Concurrency is requests over decode replicas times the time of a request over the interval.
    """
    engines = settings.deployment.engines
    prefill, decode = engines[Role.PREFILL], engines[Role.DECODE]
    duration = ttft + itl * max(0.0, inputs.osl - 1)
    batch = inputs.requests / max(1, inputs.decode_ready) * duration / inputs.seconds
    expected = decode.decode.step_seconds(batch, batch * (inputs.isl + inputs.osl / 2))
    return ThroughputState(
        prefill_correction=ttft / prefill.prompt_seconds(inputs.isl),
        decode_correction=itl / expected,
    )


def _prefill_replicas(
    settings: ThroughputSettings, state: ThroughputState, inputs: ThroughputInputs
) -> int:
    """Return tokens a second over those of one engine; late prompts never raise it."""
    engine = settings.deployment.engines[Role.PREFILL]
    tokens = settings.headroom * inputs.requests * inputs.isl / inputs.seconds
    each = inputs.isl / engine.prompt_seconds(inputs.isl)
    return whole(tokens * min(1.0, state.prefill_correction) / each)


def _decode_replicas(
    settings: ThroughputSettings, state: ThroughputState, inputs: ThroughputInputs
) -> int:
    """Return tokens a second over those of one engine at the corrected ITL target."""
    deployment = settings.deployment
    engine, target = deployment.engines[Role.DECODE], deployment.sla.itl_seconds
    if target is not None and state.decode_correction > 0:
        target /= state.decode_correction
    context = inputs.isl + inputs.osl / 2
    alone = 1 / engine.decode.step_seconds(1, context)
    each = engine.decode_tokens_per_second(target, context) or alone
    tokens = settings.headroom * inputs.requests * inputs.osl / inputs.seconds
    return whole(tokens / each)


def _within_budget(deployment: Deployment, wanted: dict[Role, int]) -> dict[Role, int]:
    """Return both roles cut in proportion, decode taking what prefill leaves."""
    budget, total = deployment.max_gpus, deployment.gpus_of(wanted)
    if budget is None or total <= budget:
        return wanted
    least, gpus = deployment.minimum, deployment.gpus
    prefill = max(least[Role.PREFILL], round(wanted[Role.PREFILL] * budget / total))
    left = budget - prefill * gpus[Role.PREFILL]
    decode = max(least[Role.DECODE], round(left / gpus[Role.DECODE]))
    return {Role.PREFILL: prefill, Role.DECODE: decode}


class ThroughputPolicy(PacedPolicy):
    """The rule every 60 s, on arrivals (not completions, which lag behind under load)."""

    def __init__(self, config: PolicyConfig, profile: Profile, *, headroom: float = 1.0) -> None:
        if frozenset(config.bounds) != DISAGGREGATED:
            raise ConfigError(
                "policy dynamo-throughput: decides about prefill and decode, not aggregated",
                hint="--policy dynamo-loops",
            )
        super().__init__(config, every_seconds=_INTERVAL_SECONDS)
        self._settings = ThroughputSettings(
            deployment=Deployment.of(config, profile), headroom=headroom
        )
        self._state = ThroughputState()

    def _decide(self, observation: Observation, traffic: Traffic) -> Mapping[Role, int]:
        mean = lengths(traffic)
        self._state, wanted = decide_throughput(
            self._settings,
            self._state,
            ThroughputInputs(
                seconds=traffic.seconds,
                requests=traffic.arrived,
                isl=mean.isl,
                osl=mean.osl,
                ttft_seconds=_mean(traffic.ttft_sum, traffic.ttft_count),
                itl_seconds=_mean(traffic.itl_sum, traffic.itl_count),
                decode_ready=observation.replicas(Role.DECODE).ready,
            ),
        )
        return self._wanted if wanted is None else wanted


def _mean(total: float, count: int) -> float | None:
    return total / count if count else None


DYNAMO_THROUGHPUT = Peer(
    name="dynamo-throughput",
    title="Dynamo SLA planner, mid-2025",
    source="NVIDIA Dynamo documentation, SLA planner (0.3.2 to 0.9), and its planner_core",
    defaults="every 60 s (of the documented 60 to 180 s the better one on Azure conversation), "
    "load as in the last interval (constant predictor), correction factors on, an interval without "
    "requests as zero load, requests counted as they arrive",
    make=ThroughputPolicy,
)
