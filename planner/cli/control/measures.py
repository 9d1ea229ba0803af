"""Where the figures of a deployment are read: at its processes, or at a Prometheus."""

from pathlib import Path

from planner.config import Settings
from planner.config.settings import ConnectorKind
from planner.errors import ConfigError
from planner.sources.processes import Processes, ScrapedProcesses
from planner.sources.prometheus.api import Access, PrometheusApi
from planner.sources.prometheus.pages import PrometheusPages
from planner.sources.prometheus.processes import PrometheusProcesses
from planner.sources.prometheus.promql import Scope
from planner.sources.prometheus.servers import PrometheusServers
from planner.sources.server_pages import Pages, ServerPages

_PATIENT_INTERVALS = 3


def processes(settings: Settings, *, kube_namespace: str | None = None) -> Processes:
    """Return where this project's own frontends and workers are read; raises ConfigError."""
    if settings.prometheus is None:
        return ScrapedProcesses(timeout=settings.metrics_timeout, model=settings.model)
    return PrometheusProcesses(
        _pages(settings, kube_namespace), timeout=settings.metrics_timeout, model=settings.model
    )


def server_pages(settings: Settings, *, kube_namespace: str | None = None) -> Pages:
    """Return where servers of another make are read; raises ConfigError."""
    if settings.prometheus is None:
        return ServerPages(
            timeout=settings.metrics_timeout, engine=settings.engine, model=settings.model
        )
    return PrometheusServers(
        _pages(settings, kube_namespace), engine=settings.engine, model=settings.model
    )


def patience(settings: Settings) -> float:
    """Return the age in seconds from which figures count as unknown."""
    return settings.max_age or _PATIENT_INTERVALS * settings.interval


def prometheus_api(settings: Settings) -> PrometheusApi:
    """Return the Prometheus that is named; raises ConfigError for a file that cannot be read."""
    assert settings.prometheus is not None
    if settings.prometheus_password_file is not None and settings.prometheus_user is None:
        raise ConfigError("--prometheus-password-file: whose is it?", hint="--prometheus-user NAME")
    if settings.prometheus_user is not None and settings.prometheus_token_file is not None:
        raise ConfigError("--prometheus-user and --prometheus-token-file", hint="name one of them")
    access = Access(
        url=settings.prometheus,
        token_file=_readable(settings.prometheus_token_file),
        user=settings.prometheus_user,
        password_file=_readable(settings.prometheus_password_file),
        ca_file=_readable(settings.prometheus_ca_file),
    )
    access.trust()  # says at once what is wrong with it
    return PrometheusApi(access, timeout=settings.metrics_timeout)


def scope(settings: Settings, *, kube_namespace: str | None = None) -> Scope:
    """Return which targets count, and by which label each of them is known."""
    is_kubernetes = settings.connector is ConnectorKind.KUBERNETES
    labels = dict(settings.prometheus_labels)
    if is_kubernetes and not labels and kube_namespace is not None:
        labels = {"namespace": kube_namespace}
    by_name = is_kubernetes and not settings.servers  # which are named by their URLs
    replica = settings.prometheus_replica or ("pod" if by_name else "instance")
    return Scope(replica=replica, labels=labels)


def _pages(settings: Settings, kube_namespace: str | None) -> PrometheusPages:
    return PrometheusPages(
        prometheus_api(settings),
        scope(settings, kube_namespace=kube_namespace),
        max_age=patience(settings),
        interval=settings.interval,
    )


def _readable(path: Path | None) -> Path | None:
    if path is not None:
        try:
            path.read_bytes()
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}", hint="name a file to read") from None
    return path
