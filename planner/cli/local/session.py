"""One life of a deployment under `planner serve`: up, ready, and down again without a rest."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable

from connectors.circus.daemon import Daemon, socket_directory, start_daemon
from connectors.circus.drain import see_out
from connectors.circus.spec import DeploymentSpec, spec_path
from planner.cli.local.announce import announce
from planner.cli.local.choices import Choices, check
from planner.cli.local.engines import VLLM, patience_seconds, poll_seconds
from planner.cli.local.lock import hold_lock
from planner.cli.local.ready import wait_ready
from planner.cli.local.shutdown import clear, shut_down
from planner.cli.local.signals import Signals
from planner.cli.local.start import Folders, kill, start
from planner.cli.output import notice
from planner.core.units import format_duration, parse_duration
from planner.errors import PlannerError


async def serve(choices: Choices, *, detach: bool) -> int:
    """Run the deployment of *choices* until it is told to stop; return the exit code.

    With *detach*, return once it answers. Raises PlannerError when it cannot be started, with
    nothing left of it.
    """
    check(choices)
    with hold_lock(choices.state) as lock:
        signals = Signals()
        starting = asyncio.create_task(_bring_up(choices, lock=lock, detach=detach))
        if await signals.come_before(starting):
            _say("interrupted: ending what was started")
            starting.cancel()
            with contextlib.suppress(asyncio.CancelledError, PlannerError):
                await starting
            return signals.exit_code
        daemon, spec = starting.result()
        return 0 if detach else await _tend(daemon, spec, choices, signals)


async def _bring_up(choices: Choices, *, lock: int, detach: bool) -> tuple[Daemon, DeploymentSpec]:
    """Return the deployment once it answers; whatever goes wrong, nothing of it is left."""
    began = time.monotonic()
    folders = Folders(state=choices.state)
    folders.prepare()
    daemon = start_daemon(
        socket_directory(choices.state),
        log=folders.log("supervisor"),
        detach=detach,
        keep_open=(lock,),
    )
    tell = _since(began)
    try:
        owner = None if detach else os.getpid()
        spec = await start(daemon, choices, owner_pid=owner, tell=tell)
        if choices.engine == VLLM:
            tell(f"vLLM is loading; {folders.logs} tells how far it is")
        await wait_ready(
            spec,
            choices.replicas,
            timeout=_timeout(choices),
            tell=tell,
            pause=poll_seconds(choices.engine),
        )
    except BaseException:
        await kill(daemon)
        clear(daemon.endpoint, spec_path(choices.state))
        raise
    announce(choices, spec.frontend_url, seconds=time.monotonic() - began)
    return daemon, spec


async def _tend(daemon: Daemon, spec: DeploymentSpec, choices: Choices, signals: Signals) -> int:
    """Return the exit code once the deployment has ended, by itself or by a signal."""
    ended = asyncio.create_task(see_out(daemon.process.pid, seconds=None))
    if await signals.come_before(ended):
        await _stop(daemon, spec, signals)
    await ended
    clear(spec.endpoint, spec_path(choices.state))
    if daemon.process.wait() != 0 and not signals.came:
        raise PlannerError(
            "the supervisor ended unexpectedly; its processes finish what they serve and end",
            hint=f"see {Folders(state=choices.state).log('supervisor')}",
        )
    _say("stopped")
    return signals.exit_code


async def _stop(daemon: Daemon, spec: DeploymentSpec, signals: Signals) -> None:
    patience = format_duration(spec.drain_seconds)
    _say(f"draining for at most {patience}; once more ends it at once")
    stopping = asyncio.create_task(shut_down(spec, drain_seconds=spec.drain_seconds))
    if await signals.come_again_before(stopping):
        stopping.cancel()
        await asyncio.gather(stopping, return_exceptions=True)
        await kill(daemon)
        return
    for name in stopping.result():
        _say(f"{name} had not finished after {patience} and was killed")


def _timeout(choices: Choices) -> float:
    cold_start = 0.0 if choices.cold_start is None else parse_duration(choices.cold_start)
    return patience_seconds(choices.engine) + cold_start


def _since(began: float) -> Callable[[str], None]:
    return lambda text: _say(f"{time.monotonic() - began:5.1f}s  {text}")


def _say(text: str) -> None:
    # The terminal may have gone, which must not keep the deployment from ending.
    with contextlib.suppress(OSError):
        notice(text)
