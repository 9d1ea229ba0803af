"""Where the endpoint is that a command talks to."""

from urllib.parse import urlsplit

from planner.cli.paths import state_directory
from planner.errors import ConfigError


def checked_url(url: str) -> str:
    """Return *url*; raises ConfigError unless it is an address over HTTP."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"--url {url}: not an address over http or https", hint="--url http://127.0.0.1:8080"
        )
    return url


def deployment_url() -> str:
    """Return the URL of the deployment that runs here; raises ConfigError when there is none."""
    from connectors.circus.spec import DeploymentSpec, spec_path

    path = spec_path(state_directory())
    if not path.exists():
        raise ConfigError(
            "no --url, and no deployment runs here", hint="planner serve, or --url URL"
        )
    return DeploymentSpec.load(path).frontend_url
