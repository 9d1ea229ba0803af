"""``python -m runtime.service module:Class``: serve services until told to stop."""

import argparse
import asyncio
import importlib
import logging
import sys
from contextlib import AsyncExitStack

from runtime.config import RuntimeConfig
from runtime.errors import RuntimeFault
from runtime.process import run_process
from runtime.runtime import DistributedRuntime
from runtime.service.declare import service_endpoints, service_name
from runtime.service.serve import serve_service


def load_service(target: str) -> type:
    """Return the service class at ``module:Class``. Raises ArgumentTypeError."""
    module, _, name = target.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
        service_name(found)
        service_endpoints(found)
    except (ImportError, AttributeError, NameError, ValueError, TypeError) as error:
        raise argparse.ArgumentTypeError(f"{target}: {error}") from error
    assert isinstance(found, type)
    return found


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the command line; exits with 2 when it is not one."""
    defaults = RuntimeConfig()
    parser = argparse.ArgumentParser(
        prog="python -m runtime.service",
        description="Serve service classes until SIGTERM, then drain.",
    )
    parser.add_argument(
        "services", nargs="+", type=load_service, metavar="module:Class", help="what to serve"
    )
    parser.add_argument("--store", required=True, help="discovery, such as etcd://127.0.0.1:2379")
    parser.add_argument(
        "--plane", required=True, help="request plane, such as nats://127.0.0.1:4222"
    )
    parser.add_argument("--namespace", default=defaults.namespace, help="default: %(default)s")
    parser.add_argument(
        "--host", default=defaults.host, help="address others reach this by (default: %(default)s)"
    )
    parser.add_argument(
        "--drain-timeout",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="for requests in flight at the end (default: %(default)g)",
    )
    return parser.parse_args(arguments)


async def serve(options: argparse.Namespace, stop: asyncio.Event) -> int:
    """Serve until *stop*; 0 when all in flight finished, 1 otherwise or when nothing answers."""
    config = RuntimeConfig(
        store_url=options.store,
        plane_url=options.plane,
        namespace=options.namespace,
        host=options.host,
    )
    try:
        async with await DistributedRuntime.connect(config) as runtime, AsyncExitStack() as stack:
            served = []
            for cls in options.services:
                served.append(await serve_service(runtime, cls))
                stack.push_async_callback(served[-1].close)
            await stop.wait()
            drained = await asyncio.gather(*(one.drain(options.drain_timeout) for one in served))
    except RuntimeFault as fault:
        print(f"error: {fault}", file=sys.stderr)  # noqa: T201 - this is a program
        return 1
    return 0 if all(drained) else 1


def main() -> int:
    """Return the exit code."""
    options = parse(sys.argv[1:])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    return run_process(lambda stop: serve(options, stop))


if __name__ == "__main__":
    sys.exit(main())
