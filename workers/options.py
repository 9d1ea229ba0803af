"""The command line that every worker has, whatever its engine."""

import argparse
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from planner.core.role import Role
from planner.core.units import parse_duration, parse_share
from planner.errors import ConfigError
from runtime.errors import InvalidRequest
from runtime.instance import checked_name
from workers.disaggregation.decision import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """Who a worker is, where the rest of the deployment is, and its limits. Times in seconds."""

    role: Role
    name: str
    store_url: str
    plane_url: str
    model: Path
    model_name: str
    namespace: str = "planner"
    instance_id: int | None = None
    """Its id in a static deployment; a new one if None."""
    host: str = "127.0.0.1"
    """Where others reach it."""
    bind: str | None = None
    """Where it listens; on *host* if None."""
    metrics_port: int = 0
    drain_timeout: float = 30.0
    limits: Limits = field(default_factory=Limits)
    remote_prefill_timeout: float = 20.0
    prefill_ack_wait: float = 5.0

    @property
    def listens_on(self) -> str:
        """The address that its listeners have."""
        return self.bind or self.host


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Exit with *message*."""
        self.exit(2, f"error: {message}\n")

    @property
    def flags_with_values(self) -> frozenset[str]:
        """The names of all flags that a value follows."""
        known = self._option_string_actions.items()
        return frozenset(name for name, action in known if action.nargs != 0)


def duration(text: str) -> float:
    """Return *text* ("200ms", "30s") in seconds; an error argparse reports."""
    try:
        return parse_duration(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(f"{error}; {error.hint}") from error


def positive(text: str) -> int:
    """Return *text* as a whole number of at least 1; an error argparse reports."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def count(text: str) -> int:
    """Return *text* as a whole number of at least 0; an error argparse reports."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def positive_number(text: str) -> float:
    """Return *text* as a number above 0; an error argparse reports."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def share(text: str) -> float:
    """Return *text* ("5%" or "0.05") as a share of 1; an error argparse reports."""
    try:
        return parse_share(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(f"{error}; {error.hint}") from error


def key_name(text: str) -> str:
    """Return *text* if it can be part of a key; an error argparse reports."""
    try:
        return checked_name("namespace", text)
    except InvalidRequest as error:
        raise argparse.ArgumentTypeError(error.message) from error


def folder(text: str) -> Path:
    """Return *text* as the path of a folder that exists; an error argparse reports."""
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {text}")
    return path


_DEFAULTS = WorkerOptions(
    role=Role.AGGREGATED, name="", store_url="", plane_url="", model=Path(), model_name=""
)


def add_worker_arguments(parser: argparse.ArgumentParser, *, model: Path | None = None) -> None:
    """Add what `read_options` reads; *model* is the folder where none is named."""
    default = _DEFAULTS
    parser.add_argument("--role", choices=[role.value for role in Role], required=True)
    parser.add_argument("--name", required=True, help="the supervisor's name for it: decode-1")
    parser.add_argument("--store", required=True, metavar="URL", help="discovery: etcd://HOST:PORT")
    parser.add_argument("--plane", required=True, metavar="URL", help="messages: nats://HOST:PORT")
    parser.add_argument(
        "--model", type=folder, required=model is None, default=model, metavar="DIR"
    )
    parser.add_argument("--model-name", help="what clients call it; the folder's name by default")
    parser.add_argument("--namespace", type=key_name, default=default.namespace)
    parser.add_argument(
        "--instance-id", type=positive, metavar="N", help="its id in a static file of instances"
    )
    parser.add_argument("--host", default=default.host, help="the address that others reach it at")
    parser.add_argument("--bind", help="the address to listen on, such as 0.0.0.0; --host's own")
    parser.add_argument("--metrics-port", type=count, default=0, help="0: any free one")
    parser.add_argument("--drain-timeout", type=duration, default=default.drain_timeout)
    levels = ["DEBUG", "INFO", "WARNING", "ERROR"]
    parser.add_argument("--log-level", default="INFO", type=str.upper, choices=levels)
    _add_disaggregation_arguments(parser, default)


def _add_disaggregation_arguments(parser: argparse.ArgumentParser, default: WorkerOptions) -> None:
    group = parser.add_argument_group("disaggregation (the first two can be changed in the store)")
    limits = default.limits
    group.add_argument(
        "--max-local-prefill-length", type=count, default=limits.max_local_prefill_length
    )
    group.add_argument(
        "--max-prefill-queue-size", type=count, default=limits.max_prefill_queue_size
    )
    group.add_argument(
        "--remote-prefill-timeout", type=duration, default=default.remote_prefill_timeout
    )
    group.add_argument("--prefill-ack-wait", type=duration, default=default.prefill_ack_wait)


def read_options(arguments: argparse.Namespace) -> WorkerOptions:
    """Return the options in parsed *arguments*."""
    return WorkerOptions(
        role=Role(arguments.role),
        name=arguments.name,
        store_url=arguments.store,
        plane_url=arguments.plane,
        model=arguments.model,
        model_name=arguments.model_name or arguments.model.resolve().name,
        namespace=arguments.namespace,
        instance_id=arguments.instance_id,
        host=arguments.host,
        bind=arguments.bind,
        metrics_port=arguments.metrics_port,
        drain_timeout=arguments.drain_timeout,
        limits=Limits(
            max_local_prefill_length=arguments.max_local_prefill_length,
            max_prefill_queue_size=arguments.max_prefill_queue_size,
        ),
        remote_prefill_timeout=arguments.remote_prefill_timeout,
        prefill_ack_wait=arguments.prefill_ack_wait,
    )
