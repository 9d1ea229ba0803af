"""How a deployment ends: what decides, then what asks, what serves, and what they stand on."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from connectors.circus.client import CircusClient, SupervisorAway, SupervisorRefused
from connectors.circus.drain import begin_drain, see_out
from connectors.circus.spec import DeploymentSpec
from planner.cli.local.processes import ETCD, FRONTEND, NATS, PLANNER
from planner.errors import PlannerError

_LAST = (ETCD, NATS)
_LAST_SECONDS = 5.0
_QUIT_SECONDS = 15.0


async def shut_down(spec: DeploymentSpec, *, drain_seconds: float) -> list[str]:
    """End everything in *spec*, the supervisor last; return the names of what had to be killed.

    The frontend takes nothing new and finishes what it has while the workers still run. Raises
    PlannerError when the supervisor stays. Nothing running is fine.
    """
    client = CircusClient(spec.endpoint)
    try:
        supervisor = client.pid()
        killed = await _drain_all(client, drain_seconds)
        await client.call("quit")
        if not await see_out(supervisor, seconds=_QUIT_SECONDS):
            killed.append("supervisor")
    except SupervisorAway:
        return []  # nothing runs, or it ended under our hands and the rest with it
    except SupervisorRefused as error:
        raise PlannerError(f"the supervisor does not stop: {error}") from error
    finally:
        client.close()
    return killed


async def _drain_all(client: CircusClient, drain_seconds: float) -> list[str]:
    killed: list[str] = []
    for wave in waves(await client.names()):
        seconds = _LAST_SECONDS if wave[0] in _LAST else drain_seconds
        ended = await asyncio.gather(*(_leave(client, name, seconds) for name in wave))
        killed += [name for name, by_itself in zip(wave, ended, strict=True) if not by_itself]
    return killed


def waves(names: set[str]) -> list[Sequence[str]]:
    """Return *names* in the order in which they end, those that end together as one."""
    workers = sorted(names - {PLANNER, FRONTEND, *_LAST})
    order = ([PLANNER], [FRONTEND], workers, list(_LAST))
    present = ([name for name in wave if name in names] for wave in order)
    return [wave for wave in present if wave]


async def _leave(client: CircusClient, name: str, seconds: float) -> bool:
    pids = await begin_drain(client, name)
    return all(await asyncio.gather(*(see_out(pid, seconds=seconds) for pid in pids)))


def clear(endpoint: str, path: Path) -> None:
    """Remove the description at *path* and the sockets of a deployment that has ended."""
    folder = Path(endpoint.removeprefix("ipc://")).parent
    for file in ("circus", "events", "circus.ini"):
        (folder / file).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    path.unlink(missing_ok=True)
