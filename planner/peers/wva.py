"""The llm-d workload-variant autoscaler (2025): replicas by a queue model, carried out by an HPA.

It knows no pairs of prefill and decode, but its model has both cases: one output token is prefill
alone, no input tokens are decode alone. So each role is sized by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import floor

from planner.core.engine import EngineModel
from planner.core.observation import Observation, Traffic
from planner.core.policy import PolicyConfig
from planner.core.profile import Profile
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.workload import Workload
from planner.peers.hpa import HpaState, stabilized
from planner.peers.pace import PacedPolicy
from planner.peers.peer import Peer
from planner.peers.queue_model import Server, fitted, largest_rate
from planner.peers.rounding import whole
from planner.peers.traffic import NOTHING, added, lengths

_INTERVAL_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WvaSettings:
    """The targets of one role and its options."""

    ttft_seconds: float | None
    itl_seconds: float | None
    headroom: float = 1.0
    down_window_seconds: float = 120.0
    """Stabilization of the HPA that carries it out, as its guide advises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WvaInputs:
    """The rate that a role is offered, and one of its servers."""

    at: float
    rate_rps: float
    server: Server
    current: int


def decide_wva(settings: WvaSettings, state: HpaState, inputs: WvaInputs) -> tuple[HpaState, int]:
    """Return rate over the largest rate that one server takes in time, shrinking late.

    Targets that cannot be met leave what is there.
    """
    wanted = _needed(settings, inputs)
    return stabilized(
        state,
        max(1, wanted),
        current=inputs.current,
        at=inputs.at,
        window_seconds=settings.down_window_seconds,
    )


def _needed(settings: WvaSettings, inputs: WvaInputs) -> int:
    if not inputs.rate_rps:
        return 0
    each = largest_rate(
        inputs.server, ttft_seconds=settings.ttft_seconds, itl_seconds=settings.itl_seconds
    )
    if each is None:
        return inputs.current
    return whole(settings.headroom * inputs.rate_rps / each)


def server_of(role: Role, engine: EngineModel, mean: Workload) -> Server:
    """Return *engine* in the terms of the model, measured with the mean lengths of the traffic.

    A replica that decodes alone yields the first token too, so it has one step more than a request
    that was prefilled beside it.
    """
    if role is Role.PREFILL:
        batch = floor(engine.limits.max_num_batched_tokens / mean.isl)
        batch = max(1, min(engine.limits.max_num_seqs, batch))
        return fitted(
            engine, input_tokens=mean.isl, output_tokens=1.0, context=mean.isl, batch=batch
        )
    is_decode = role is Role.DECODE
    return fitted(
        engine,
        input_tokens=0.0 if is_decode else mean.isl,
        output_tokens=mean.osl + 1 if is_decode else mean.osl,
        context=mean.context_tokens,
        batch=max(1, engine.batch_limit(mean.isl + mean.osl)),
    )


class WvaPolicy(PacedPolicy):
    """The rule for each role every 30 s, on the rate of arrivals since the last time.

    The parameters of the model are measured anew with the mean lengths seen so far.
    """

    def __init__(self, config: PolicyConfig, profile: Profile, *, headroom: float = 1.0) -> None:
        super().__init__(config, every_seconds=_INTERVAL_SECONDS)
        self._engines = config.engines(profile)
        self._settings = {
            role: _settings(role, config.sla, headroom=headroom) for role in self._engines
        }
        self._states = dict.fromkeys(self._engines, HpaState())
        self._seen = NOTHING

    def _decide(self, observation: Observation, traffic: Traffic) -> Mapping[Role, int]:
        self._seen = added(self._seen, traffic)
        mean = replace(lengths(self._seen), rate_rps=lengths(traffic).rate_rps)
        return {role: self._decide_role(role, observation, mean) for role in self._engines}

    def _decide_role(self, role: Role, observation: Observation, mean: Workload) -> int:
        self._states[role], wanted = decide_wva(
            self._settings[role],
            self._states[role],
            WvaInputs(
                at=observation.at,
                rate_rps=mean.rate_rps,
                server=server_of(role, self._engines[role], mean),
                current=observation.replicas(role).current,
            ),
        )
        return wanted


def _settings(role: Role, sla: Sla, *, headroom: float) -> WvaSettings:
    """Return the targets of *role*: prefill has no tokens to space."""
    itl = None if role is Role.PREFILL else sla.itl_seconds
    return WvaSettings(ttft_seconds=sla.ttft_seconds, itl_seconds=itl, headroom=headroom)


WVA = Peer(
    name="wva",
    title="llm-d workload-variant autoscaler, queue model",
    source="llm-d workload-variant autoscaler (2025-10, 56a651b): documentation and queue analyzer",
    defaults="every 30 s, model fitted at batch 1 and N of the profile with the mean lengths seen, "
    "each role by itself, carried out by an HPA that shrinks after 120 s",
    make=WvaPolicy,
)
