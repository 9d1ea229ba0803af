"""The planner's own /metrics, /health and /targets, of one deployment or of many."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector

from planner.cli.control.scrape_targets import answering
from planner.cli.output import notice
from planner.config import Settings
from planner.errors import ConfigError
from planner.sources.scraped import ScrapedPage
from runtime.http.exposition import Health, serve_metrics


@asynccontextmanager
async def own_page(
    settings: Settings,
    registry: CollectorRegistry,
    health: Health,
    scraped: Callable[[], Sequence[ScrapedPage]],
) -> AsyncIterator[None]:
    """Serve *registry* and *health* for as long as the block runs, if a port is set.

    Pages that are *scraped* are told to Prometheus, with this one.

    Raises ConfigError when the address is taken.
    """
    if settings.metrics_port is None:
        yield
        return
    try:
        server = await serve_metrics(
            registry,
            health,
            host=settings.metrics_host,
            port=settings.metrics_port,
            also={"/targets": answering(scraped, namespace=settings.namespace)},
        )
    except OSError as error:
        raise ConfigError(
            f"--metrics-port {settings.metrics_port} on {settings.metrics_host}: {error.strerror}",
            hint="--metrics-port 0 takes a free one",
        ) from error
    notice(f"metrics at http://{settings.metrics_host}:{server.port}/metrics")
    try:
        yield
    finally:
        await server.close()


Source = tuple[CollectorRegistry, Mapping[str, str]]
"""Series, and labels that tell whose they are."""


def labelled(sources: Callable[[], Iterable[Source]]) -> CollectorRegistry:
    """Return a registry with the series of all *sources* of the moment, and their labels."""
    registry = CollectorRegistry()
    registry.register(_Labelled(sources))
    return registry


class _Labelled(Collector):
    def __init__(self, sources: Callable[[], Iterable[Source]]) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """Yield each metric once, with the samples of all sources."""
        found: dict[str, Metric] = {}
        for registry, labels in self._sources():
            for metric in registry.collect():
                its = found.get(metric.name)
                if its is None:
                    its = Metric(metric.name, metric.documentation, metric.type)
                    found[metric.name] = its
                its.samples += [
                    one._replace(labels={**one.labels, **labels}) for one in metric.samples
                ]
        yield from found.values()
