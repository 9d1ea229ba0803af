"""All looks at once: what waits for servers waits side by side."""

import asyncio
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from planner.cli.doctoring.finding import Finding, failed
from planner.cli.doctoring.machine import machine
from planner.cli.doctoring.packages import packages

_NEEDS = {"aetcd": "runtime", "msgspec": "runtime", "httptools": "runtime", "circus": "local"}


async def examine(
    state: Path,
    *,
    http_port: int,
    flags: Mapping[str, object] | None = None,
    config: Path | None = None,
) -> Sequence[Finding]:
    """Return what is found of this machine, of the deployment in *state*, and of a Prometheus.

    The last one only where *flags*, the environment or the file *config* name it. Takes a second
    or two: etcd and nats-server are started for it.
    """
    from planner.cli.local.lock import is_running

    # The port is the deployment's own where one runs.
    port = None if http_port == 0 or is_running(state) else http_port
    found = [*machine(state, port=port), *packages()]
    if missing := [name for name in _NEEDS if find_spec(name) is None]:
        extra = _NEEDS[missing[0]]
        remedy = f"pip install 'planner[{extra}]'"
        return [*found, failed("the rest", f"not looked at without {missing[0]}", remedy)]
    from planner.cli.doctoring.prometheus import prometheus

    return [*found, *await _with_servers(state), *await prometheus(flags or {}, config=config)]


async def _with_servers(state: Path) -> Sequence[Finding]:
    from planner.cli.doctoring.deployment import deployment, journal
    from planner.cli.doctoring.engines import engines
    from planner.cli.doctoring.servers import servers
    from workers.vllm.check import Machine

    started, running = await asyncio.gather(servers(), deployment(state))
    return [*started, *engines(Machine.here()), *journal(state), *running]
