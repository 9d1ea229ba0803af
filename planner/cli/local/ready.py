"""Waits until a deployment answers, and notices early when some process of it never will."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from connectors.circus.client import CircusClient
from connectors.circus.connector import CircusConnector
from connectors.circus.processes import Child
from connectors.circus.spec import DeploymentSpec
from planner.cli.local.view import Frontend, open_fleet
from planner.core.observation import Replicas
from planner.core.role import Role
from planner.errors import MetricsUnavailable, PlannerError

_POLL_SECONDS = 0.05
_LIVES = 3
_TAIL_BYTES = 8192


class Lives:
    """Counts the processes that each name has had; one that keeps ending does not start."""

    def __init__(self) -> None:
        self._pids: defaultdict[str, set[int]] = defaultdict(set)

    def broken(self, children: Sequence[Child]) -> str | None:
        """Return the name that is at its third process by now, or None."""
        for child in children:
            self._pids[child.name].add(child.pid)
        return next((name for name, pids in self._pids.items() if len(pids) >= _LIVES), None)


async def wait_ready(
    spec: DeploymentSpec,
    wanted: Mapping[Role, int],
    *,
    timeout: float,
    tell: Callable[[str], None],
    pause: float = _POLL_SECONDS,
) -> None:
    """Return once *wanted* replicas are ready and the frontend serves the model.

    Looks every *pause* seconds, which takes time from what starts.
    Raises PlannerError that quotes the log of what does not start.
    """
    client = CircusClient(spec.endpoint)
    frontend = Frontend(spec.frontend_url)
    try:
        async with open_fleet(spec) as connector, asyncio.timeout(timeout):
            waiting = _Waiting(spec, wanted, tell)
            while not await waiting.is_over(client, connector, frontend):  # noqa: ASYNC110 - polls
                await asyncio.sleep(pause)
    except TimeoutError:
        message = f"the deployment is not ready after {timeout:g} s"
        raise PlannerError(message, hint=f"see {spec.log_directory}") from None
    finally:
        await frontend.close()
        client.close()


class _Waiting:
    def __init__(
        self, spec: DeploymentSpec, wanted: Mapping[Role, int], tell: Callable[[str], None]
    ) -> None:
        self._spec = spec
        self._wanted = wanted
        self._tell = tell
        self._told: set[str] = set()
        self._lives = Lives()

    async def is_over(
        self, client: CircusClient, connector: CircusConnector, frontend: Frontend
    ) -> bool:
        """Return whether all is ready. Raises PlannerError when it never will be."""
        broken = self._lives.broken(client.children())
        if broken is not None:
            log = Path(self._spec.log_directory) / f"{broken}.log"
            raise PlannerError(f"{broken} does not start: {last_line(log)}", hint=f"see {log}")
        try:
            fleet = await connector.fleet()
        except MetricsUnavailable:  # discovery is still coming up
            return False
        for role, count in self._wanted.items():
            if fleet[role].ready >= count:
                self._tell_once(f"{role} is ready ({count} of {count})")
        models = await frontend.models()
        if models is not None:
            self._tell_once("the frontend is up")
        return self._spec.model in (models or ()) and _is_complete(fleet, self._wanted)

    def _tell_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._tell(text)


def _is_complete(fleet: Mapping[Role, Replicas], wanted: Mapping[Role, int]) -> bool:
    return all(fleet[role].ready >= count for role, count in wanted.items())


def last_line(log: Path) -> str:
    """Return what a process said last: its error if it told one, else the last line."""
    try:
        text = log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace")
    except OSError:
        return "it left no log"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (told or lines or ["it said nothing"])[-1]
