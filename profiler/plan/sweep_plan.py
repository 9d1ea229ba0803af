"""The plan of a sweep: parallelisms, points and an estimate of the time, inside given bounds."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from planner.core.profile import Parallelism
from planner.core.sla import Sla
from planner.core.workload import Workload
from planner.errors import ConfigError
from profiler.effort import LEAST_DECODE, LEAST_PREFILL, Effort
from profiler.plan.duration import Settings, points_seconds
from profiler.plan.gpu import Gpu
from profiler.plan.guess import guessed_start_seconds
from profiler.plan.memory import Verdict, verdict
from profiler.plan.model import ModelShape
from profiler.target import Target

# Of prompts sent through it, and of ending it.
_PAIR_SECONDS = 5.0
_USUAL = Target(
    sla=Sla.parse("ttft=200ms,itl=20ms"), workload=Workload(rate_rps=0.0, isl=1000, osl=200)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a sweep must stay inside; None is not limited.

    *max_points* counts all parallelisms; *parallelisms* None considers powers of two.
    """

    max_gpus: int
    max_points: int | None = None
    budget_seconds: float | None = None
    parallelisms: tuple[Parallelism, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEngine:
    """One parallelism that is to be measured. The seconds are estimates, not measurements."""

    parallelism: Parallelism
    effort: Effort
    start_seconds: float
    points_seconds: float

    @property
    def seconds(self) -> float:
        """Estimated time of starting it and of all its points."""
        return self.start_seconds + self.points_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan:
    """What a sweep will do, and why not more."""

    model: ModelShape
    gpu: Gpu
    verdicts: tuple[Verdict, ...]
    """Every parallelism that was considered, with its arithmetic."""
    engines: tuple[PlannedEngine, ...]
    pair: Parallelism | None = None
    """Of the two engines between which KV is moved; None where two are not allowed."""
    left_out: dict[Parallelism, str] = field(default_factory=dict)
    """Why a parallelism that fits is not measured."""
    notes: tuple[str, ...] = ()

    @property
    def points(self) -> int:
        """Points of all engines."""
        return sum(engine.effort.points for engine in self.engines)

    @property
    def seconds(self) -> float:
        """Estimated time of the whole sweep."""
        return sum(engine.seconds for engine in self.engines) + self.pair_seconds

    @property
    def pair_seconds(self) -> float:
        """Estimated time of the pair: two engines that start together."""
        return _PAIR_SECONDS + self.engines[0].start_seconds if self.pair else 0.0

    @property
    def gpus(self) -> int:
        """GPUs that are taken at most at once."""
        pair = 2 * self.pair.gpus if self.pair else 0
        return max(pair, *(engine.parallelism.gpus for engine in self.engines))


def plan_sweep(
    model: ModelShape,
    gpu: Gpu,
    limits: Limits,
    *,
    effort: Effort | None = None,
    target: Target = _USUAL,
    settings: Settings | None = None,
) -> SweepPlan:
    """Return the plan for *model* on up to *limits.max_gpus* of *gpu*.

    *target* is what the points are for: a request of its mean lengths must fit. Together with
    *settings*, how engines are started, it tells how much a point holds. Raises ConfigError when
    nothing fits, with the reason of the largest, and for limits that no sweep is inside of.
    """
    started = settings or Settings()
    _check(limits)

    def judged(candidate: Parallelism) -> Verdict:
        return verdict(
            model,
            gpu,
            candidate,
            context_tokens=round(target.workload.isl + target.workload.osl),
            max_num_batched_tokens=started.max_num_batched_tokens,
        )

    verdicts = tuple(map(judged, limits.parallelisms or candidates(limits.max_gpus)))
    fitting = [found for found in verdicts if found.fits]
    if not fitting:
        raise _nothing_fits(model, gpu, verdicts)
    # Stages beside an engine that fits without them only add GPUs that wait for each other.
    if limits.parallelisms is None and any(found.parallelism.pp == 1 for found in fitting):
        fitting = [found for found in fitting if found.parallelism.pp == 1]

    def planned(found: Verdict) -> PlannedEngine:
        wanted = effort or Effort()
        return PlannedEngine(
            parallelism=found.parallelism,
            effort=wanted,
            start_seconds=guessed_start_seconds(model),
            points_seconds=points_seconds(
                model, gpu, found, settings=started, effort=wanted, target=target
            ),
        )

    engines = tuple(map(planned, fitting))
    whole = SweepPlan(model=model, gpu=gpu, verdicts=verdicts, engines=engines)
    return _with_pair(_within(whole, limits), limits)


def candidates(max_gpus: int) -> tuple[Parallelism, ...]:
    """Return the parallelisms in powers of two up to *max_gpus*, the fewest GPUs first."""
    powers = [2**n for n in range(max_gpus.bit_length())]
    found = [Parallelism(tp=tp, pp=pp) for pp in powers for tp in powers if tp * pp <= max_gpus]
    return tuple(sorted(found, key=lambda candidate: (candidate.gpus, candidate.pp)))


def _check(limits: Limits) -> None:
    least = LEAST_PREFILL + LEAST_DECODE
    if limits.max_points is not None and limits.max_points < least:
        raise ConfigError(
            f"{limits.max_points} points: one parallelism needs {least}",
            hint=f"--max-points {least}",
        )
    for parallelism in limits.parallelisms or ():
        if parallelism.gpus > limits.max_gpus:
            raise ConfigError(
                f"parallelism {parallelism} takes {parallelism.gpus} GPUs, "
                f"{limits.max_gpus} are allowed",
                hint=f"--max-gpus {parallelism.gpus}",
            )


def _nothing_fits(model: ModelShape, gpu: Gpu, verdicts: Sequence[Verdict]) -> ConfigError:
    largest = verdicts[-1]
    return ConfigError(
        f"{model.name} does not fit onto {largest.parallelism.gpus} {gpu.name}: "
        f"{largest.parallelism}: {largest.problems[0]}",
        hint="allow more GPUs, larger ones, or a quantized model",
    )


def _within(plan: SweepPlan, limits: Limits) -> SweepPlan:
    """Return *plan* with fewer points, then with fewer parallelisms, until it is inside *limits*.

    Many GPUs go first: they cost the most, and small engines are what most deployments run.
    """
    most = max(engine.effort.points for engine in plan.engines)
    while True:
        for points in range(most, LEAST_PREFILL + LEAST_DECODE - 1, -1):
            smaller = replace(plan, engines=tuple(_with_points(e, points) for e in plan.engines))
            if not _exceeded(smaller, limits):
                return smaller
        if len(plan.engines) == 1:
            return replace(smaller, notes=(*plan.notes, _exceeded(smaller, limits)))
        dropped = plan.engines[-1].parallelism
        why = {**plan.left_out, dropped: _exceeded(smaller, limits)}
        plan = replace(plan, engines=plan.engines[:-1], left_out=why)


def _with_pair(plan: SweepPlan, limits: Limits) -> SweepPlan:
    """Return *plan* with a pair of its smallest engines, if that is inside *limits*, too."""
    more = replace(plan, pair=plan.engines[0].parallelism)
    return plan if more.gpus > limits.max_gpus or _exceeded(more, limits) else more


def _with_points(engine: PlannedEngine, points: int) -> PlannedEngine:
    """Return *engine* with at most *points*, taken from prefill and decode in proportion."""
    effort = engine.effort
    if effort.points <= points:
        return engine
    prefill = max(LEAST_PREFILL, round(points * effort.prefill_points / effort.points))
    decode = max(LEAST_DECODE, points - prefill)
    fewer = replace(effort, prefill_points=points - decode, decode_points=decode)
    return replace(
        engine, effort=fewer, points_seconds=engine.points_seconds * points / effort.points
    )


def _exceeded(plan: SweepPlan, limits: Limits) -> str:
    """Return which limit *plan* is beyond, "" for none."""
    if limits.max_points is not None and plan.points > limits.max_points:
        return f"{plan.points} points are needed, {limits.max_points} allowed"
    budget = limits.budget_seconds
    if budget is not None and plan.seconds > budget:
        return f"about {plan.seconds:.0f} s are needed (an estimate), {budget:.0f} s allowed"
    return ""
