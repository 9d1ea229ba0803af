"""Run a frontend until SIGTERM or SIGINT, then drain; a second signal ends it at once."""

import asyncio
import logging
import os
import sys

from runtime.errors import InvalidRequest, RuntimeFault
from runtime.frontend.arguments import Settings, parse_arguments
from runtime.frontend.frontend import Frontend
from runtime.process import run_process
from runtime.runtime import DistributedRuntime


def main() -> int:
    """Return the exit code: 0 after a drain, 1 when the store is away, 2 for a bad setting."""
    settings = parse_arguments()
    logging.basicConfig(
        stream=sys.stderr,
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    return run_process(lambda stop: _serve(settings, stop))


async def _serve(settings: Settings, stop: asyncio.Event) -> int:
    try:
        runtime = await DistributedRuntime.connect(settings.runtime)
    except RuntimeFault as fault:
        return _fail(1, fault.message)
    async with runtime:
        return await _serve_from(runtime, settings, stop)


async def _serve_from(runtime: DistributedRuntime, settings: Settings, stop: asyncio.Event) -> int:
    options = settings.frontend
    frontend = Frontend(runtime, options)
    try:
        await frontend.start()
        await stop.wait()
        await frontend.drain(settings.drain_timeout)
    except OSError as error:
        await frontend.drain(0)
        return _fail(2, f"cannot listen on {options.host}:{options.port}: {_reason(error)}")
    except RuntimeFault as fault:
        await frontend.drain(0)
        return _fail(2 if isinstance(fault, InvalidRequest) else 1, fault.message)
    return 0


def _reason(error: OSError) -> str:
    number = error.errno or 0  # negative where no such host is known
    return os.strerror(number) if number > 0 else str(error.strerror)


def _fail(code: int, message: str) -> int:
    print(f"error: {message}", file=sys.stderr)  # noqa: T201 - this is a program
    return code


if __name__ == "__main__":
    sys.exit(main())
