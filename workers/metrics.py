"""What a worker tells scrapers; the engine's own figures are read when somebody asks."""

from collections.abc import Callable, Iterable

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from workers.disaggregation.remote import Outcome
from workers.engine import EngineStats, StepTotals

LABELS = ("model", "namespace", "component", "instance")
STEP_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15,
                0.2, 0.3, 0.5, 1.0, 2.5)  # fmt: skip

_GAUGES = {
    "requests_running": ("running", "Requests in the engine's batch"),
    "requests_waiting": ("waiting", "Requests that wait for a place in the batch"),
    "waiting_prompt_tokens": ("waiting_tokens", "Prompt tokens that are still to be prefilled"),
    "kv_blocks_used": ("kv_blocks_used", "KV blocks that requests hold"),
    "kv_blocks_total": ("kv_blocks_total", "KV blocks of the engine"),
}
_COUNTERS = {
    "prompt_tokens": ("prompt_tokens", "Prompt tokens of requests that the engine has begun"),
    "prefix_cache_hit_tokens": ("cached_tokens", "Of those, tokens found in the prefix cache"),
    "generated_tokens": ("generated_tokens", "Tokens that the engine has produced"),
    "preemptions": ("preemptions", "Requests that gave their KV blocks to others for a while"),
}
_STEPS = {
    "prefill_steps": "Engine steps with prompt tokens in them",
    "decoded_tokens": "Requests decoded in a step, summed over steps",
    "kv_tokens_read": "Tokens of KV cache read by decoding requests, summed over steps",
    "prefilled_tokens": "Prompt tokens computed",
    "prefilled_squared_tokens": "Sum of end^2 - start^2 over the chunks of prompts computed",
}
_TRANSFERS = {
    "kv_transfers_failed": ("failed", "KV transfers that did not arrive: prompts computed here"),
    "kv_transfers_received": ("received", "Prompts whose KV came from another engine"),
    "kv_received_bytes": ("bytes", "Bytes of KV cache that came from other engines"),
    "kv_received_tokens": ("tokens", "Prompt tokens whose KV came from another engine"),
    "kv_receive_seconds": ("seconds", "Time of these transfers, summed over GPUs that receive"),
}


class _Figures(Collector):
    """Reads the engine, the requests in flight and the queue at the moment of a scrape."""

    def __init__(
        self,
        labels: tuple[str, ...],
        *,
        stats: Callable[[], EngineStats],
        in_flight: Callable[[], int],
        queue_depth: Callable[[], int | None],
    ) -> None:
        self._labels = labels
        self._stats = stats
        self._in_flight = in_flight
        self._queue_depth = queue_depth

    def collect(self) -> Iterable[Metric]:
        """Yield every figure that is known; unknown ones are left out, not 0."""
        stats = self._stats()
        for name, (field, text) in _GAUGES.items():
            yield from self._gauge(name, text, getattr(stats, field))
        yield from self._gauge("in_flight_requests", "Requests taken", self._in_flight())
        yield from self._gauge(
            "prefill_queue_depth",
            "Prefills waiting for prefill workers or in work there",
            self._queue_depth(),
        )
        for name, (field, text) in _COUNTERS.items():
            yield self._counter(name, text, getattr(stats, field))
        yield from self._totals(stats.steps)
        if stats.transfers is not None:
            for name, (field, text) in _TRANSFERS.items():
                yield self._counter(name, text, getattr(stats.transfers, field))

    def _totals(self, steps: StepTotals | None) -> Iterable[Metric]:
        if steps is not None:
            for name, text in _STEPS.items():
                yield self._counter(name, text, getattr(steps, name))

    def _counter(self, name: str, text: str, value: float) -> Metric:
        family = CounterMetricFamily(f"planner_worker_{name}", text, labels=LABELS)
        family.add_metric(self._labels, value)
        return family

    def _gauge(self, name: str, text: str, value: int | None) -> Iterable[Metric]:
        if value is not None:
            family = GaugeMetricFamily(f"planner_worker_{name}", text, labels=LABELS)
            family.add_metric(self._labels, value)
            yield family


class WorkerMetrics:
    """The registry of one worker process. All series carry the four labels of *LABELS*."""

    def __init__(self, *, model: str, namespace: str, component: str, instance: str) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._labels = (model, namespace, component, instance)
        self._step = Histogram(
            "planner_worker_step_seconds",
            "Time of one engine step",
            LABELS,
            buckets=STEP_SECONDS,
            registry=self.registry,
        ).labels(*self._labels)
        self._local = Counter(
            "planner_worker_local_prefills",
            "Prompts that this serving worker prefilled itself",
            LABELS,
            registry=self.registry,
        ).labels(*self._labels)
        self._remote = Counter(
            "planner_worker_remote_prefills",
            "Prompts sent to prefill workers, by what became of them",
            (*LABELS, "outcome"),
            registry=self.registry,
        )
        for outcome in Outcome:
            self._remote.labels(*self._labels, outcome)  # so that the first one is seen as growth
        self._start = Gauge(
            "planner_worker_start_seconds",
            "Seconds from the start of the process to the end of each stage of its start-up",
            (*LABELS, "stage"),
            registry=self.registry,
        )

    def read(
        self,
        *,
        stats: Callable[[], EngineStats],
        in_flight: Callable[[], int],
        queue_depth: Callable[[], int | None],
    ) -> None:
        """Show what these functions return at each scrape."""
        figures = _Figures(self._labels, stats=stats, in_flight=in_flight, queue_depth=queue_depth)
        self.registry.register(figures)

    def observe_step(self, seconds: float) -> None:
        """Count one engine step."""
        self._step.observe(seconds)

    def count_local_prefill(self) -> None:
        """Count a prompt that is prefilled by this serving worker."""
        self._local.inc()

    def count_remote_prefill(self, outcome: Outcome) -> None:
        """Count a prompt that was sent away."""
        self._remote.labels(*self._labels, outcome).inc()

    def set_start(self, stage: str, seconds: float) -> None:
        """Record when *stage* of the start-up was complete."""
        self._start.labels(*self._labels, stage).set(seconds)
