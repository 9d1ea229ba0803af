"""What runs in the state folder, if anything does, and what was decided there."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from connectors.circus.spec import DeploymentSpec, spec_path
from planner.cli.control.registry import StoreRegistry
from planner.cli.doctoring.finding import Finding, absent, failed, ok, told
from planner.cli.local.lock import is_running
from planner.cli.local.view import Frontend
from planner.cli.paths import journal_in
from planner.errors import ConfigError, JournalError, PlannerError
from planner.journal import Journal
from planner.ports import Instance
from runtime.discovery.open import open_store
from runtime.errors import RuntimeFault

_SECONDS = 1.0
_RESTART = "planner stop, then planner serve"


def journal(state: Path) -> Iterator[Finding]:
    """Yield whether the journal of *state* can be read."""
    path = journal_in(state)
    if not path.exists():
        yield absent("journal", f"none in {state}", "planner serve or planner run writes one")
        return
    try:
        with Journal.read(path) as opened:
            latest = opened.latest()
    except JournalError as error:
        yield told("journal", error)
        return
    count = "no decision yet" if latest is None else f"decisions up to number {latest.id}"
    yield ok("journal", f"{count}, {path.stat().st_size / 1e6:.1f} MB")


async def deployment(state: Path) -> Sequence[Finding]:
    """Return what answers of the deployment in *state*; a single line where none runs."""
    name = "deployment"
    if not is_running(state):
        return [absent(name, f"none runs in {state}", "planner serve")]
    try:
        spec = DeploymentSpec.load(spec_path(state))
    except ConfigError as error:
        return [told(name, error)]
    if spec.is_served_by_others:
        return [ok(name, f"servers of another make in {state}: planner status tells of them")]
    answers = await asyncio.gather(_store(spec), _plane(spec), _frontend(spec))
    roles = ", ".join(spec.roles)
    return [ok(name, f"serves {spec.model} with {roles}"), *(f for each in answers for f in each)]


async def _store(spec: DeploymentSpec) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(_SECONDS), _workers(spec) as found:
            store = ok("its etcd", f"answers at {spec.store_url}")
            return [store, await _reached(found)]
    except (PlannerError, RuntimeFault, TimeoutError) as error:
        return [failed("its etcd", str(error) or f"{spec.store_url} does not answer", _RESTART)]


@asynccontextmanager
async def _workers(spec: DeploymentSpec) -> AsyncIterator[Sequence[Instance]]:
    store = await open_store(spec.store_url)
    registry = StoreRegistry(store, spec.namespace)
    try:
        yield await registry.instances()
    finally:
        await registry.close()
        await store.close()


async def _reached(workers: Sequence[Instance]) -> Finding:
    """Return whether all *workers* answer on the address that they registered."""
    timeout = aiohttp.ClientTimeout(total=_SECONDS / 2)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        answers = await asyncio.gather(*(_answers(session, worker) for worker in workers))
    silent = [one.name for one, answer in zip(workers, answers, strict=True) if not answer]
    if silent:
        return failed("its workers", f"{', '.join(silent)} do not answer", "see logs/NAME.log")
    if not workers:
        return failed("its workers", "none is registered", "see logs/ in the state folder")
    return ok("its workers", f"{len(workers)} registered, all answer")


async def _answers(session: aiohttp.ClientSession, worker: Instance) -> bool:
    if worker.metrics_url is None:
        return False
    try:
        async with session.get(worker.metrics_url) as response:
            return response.ok
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


async def _plane(spec: DeploymentSpec) -> Sequence[Finding]:
    address = urlsplit(spec.plane_url)
    greeting = b""
    try:
        async with asyncio.timeout(_SECONDS):
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            try:
                greeting = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        pass
    if not greeting.startswith(b"INFO"):  # it speaks first
        return [failed("its nats", f"{spec.plane_url} does not answer", _RESTART)]
    return [ok("its nats", f"answers at {spec.plane_url}")]


async def _frontend(spec: DeploymentSpec) -> Sequence[Finding]:
    frontend = Frontend(spec.frontend_url)
    try:
        models = await frontend.models()
    finally:
        await frontend.close()
    if models is None:
        return [failed("its frontend", f"{spec.frontend_url} does not answer", _RESTART)]
    if spec.model not in models:
        return [failed("its frontend", f"does not serve {spec.model} yet", "planner status")]
    return [ok("its frontend", f"{spec.frontend_url} serves {', '.join(models)}")]
