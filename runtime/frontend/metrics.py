"""What the frontend counts, per model: rates, latencies, lengths, and requests inside the SLA."""

import time
from collections.abc import Sequence
from enum import StrEnum

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)

from runtime.frontend.arrivals import ArrivalBins, Clock
from runtime.frontend.sla import Targets

_LABELS = ("model", "namespace")
_TOKEN_EDGES = tuple(float(2**power) for power in range(18))
_DURATION_EDGES = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)


class Status(StrEnum):
    """How a request ended."""

    SUCCESS = "success"
    INVALID = "invalid"
    UNAVAILABLE = "unavailable"
    DEADLINE = "deadline"
    ERROR = "error"
    DISCONNECTED = "disconnected"


class FrontendMetrics:
    """All series of one frontend, in a registry of their own; *wall* dates arrivals."""

    def __init__(self, targets: Targets, *, namespace: str, wall: Clock = time.time) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.targets = targets
        self.wall = wall
        self._namespace = namespace
        self._models: dict[str, ModelMetrics] = {}
        counter, gauge, histogram = self._counter, self._gauge, self._histogram
        self.started = counter("requests_started", "Requests accepted.")
        self.requests = counter("requests", "Requests ended, by how.", "status")
        self.in_flight = gauge("inflight_requests", "Requests accepted and not ended.")
        self.queued = gauge("queued_requests", "Requests that wait for an instance.")
        self.disconnected = counter("disconnected_clients", "Clients gone before the end.")
        self.migrations = counter("migrations", "Responses continued on another instance.")
        self.duration = histogram("request_duration_seconds", "Time to the end.", _DURATION_EDGES)
        self.ttft = histogram(
            "time_to_first_token_seconds", "Time to the first token.", targets.ttft_edges
        )
        self.itl = histogram(
            "inter_token_latency_seconds",
            "Mean time between the tokens of a request.",
            targets.itl_edges,
        )
        self.isl = histogram("input_sequence_tokens", "Prompt tokens, on arrival.", _TOKEN_EDGES)
        self.osl = histogram("output_sequence_tokens", "Tokens of a response.", _TOKEN_EDGES)
        self.output_tokens = counter("output_tokens", "Tokens of ended responses.")
        self.cached_tokens = counter("cached_tokens", "Prompt tokens found in a prefix cache.")
        self.expected_cached_tokens = counter(
            "expected_cached_tokens", "Prompt tokens that the router kv expected in a prefix cache."
        )
        self.isl_squared = counter("input_sequence_tokens_squared", "Sum of isl^2, on arrival.")
        self.context_output = counter(
            "context_output_tokens", "Sum of (isl + osl/2) * osl over finished requests."
        )
        self.within_sla = counter("requests_within_sla", "Requests that met every target.")
        self.outside_sla = counter("requests_outside_sla", "Requests late or failed.")

    def refused(self, model: str, status: Status) -> None:
        """Count a request that was not accepted; *model* is empty unless it is one served here."""
        self.requests.labels(model, self._namespace, status).inc()

    def of(self, model: str) -> "ModelMetrics":
        """Return the series of *model*, which must be one that is served."""
        found = self._models.get(model)
        if found is None:
            found = self._models[model] = ModelMetrics(self, (model, self._namespace))
        return found

    def arrivals(self, model: str | None = None) -> Sequence[ArrivalBins]:
        """Return the bins of *model*, none if it is not served; of all models if it is None."""
        return [m.arrivals for name, m in self._models.items() if model in {None, name}]

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(_full(name), text, (*_LABELS, *labels), registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(_full(name), text, _LABELS, registry=self.registry)

    def _histogram(self, name: str, text: str, edges: tuple[float, ...]) -> Histogram:
        return Histogram(_full(name), text, _LABELS, registry=self.registry, buckets=edges)


class ModelMetrics:
    """The series of one model, looked up once; all of them exist from the start."""

    def __init__(self, metrics: FrontendMetrics, labels: tuple[str, str]) -> None:
        self.targets = metrics.targets
        self.arrivals = ArrivalBins(metrics.wall)
        self.started = metrics.started.labels(*labels)
        self.in_flight = metrics.in_flight.labels(*labels)
        self.queued = metrics.queued.labels(*labels)
        self.disconnected = metrics.disconnected.labels(*labels)
        self.migrations = metrics.migrations.labels(*labels)
        self.duration = metrics.duration.labels(*labels)
        self.ttft = metrics.ttft.labels(*labels)
        self.itl = metrics.itl.labels(*labels)
        self.isl = metrics.isl.labels(*labels)
        self.osl = metrics.osl.labels(*labels)
        self.output_tokens = metrics.output_tokens.labels(*labels)
        self.cached_tokens = metrics.cached_tokens.labels(*labels)
        self.expected_cached_tokens = metrics.expected_cached_tokens.labels(*labels)
        self.isl_squared = metrics.isl_squared.labels(*labels)
        self.context_output = metrics.context_output.labels(*labels)
        self.within_sla = metrics.within_sla.labels(*labels)
        self.outside_sla = metrics.outside_sla.labels(*labels)
        self._ended = {status: metrics.requests.labels(*labels, status) for status in Status}

    def ended(self, status: Status) -> None:
        """Count one request that ended as *status*."""
        self._ended[status].inc()


def _full(name: str) -> str:
    return f"planner_frontend_{name}"
