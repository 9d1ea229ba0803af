"""The command line of ``python -m runtime.frontend``."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn, get_args

from runtime.config import RuntimeConfig
from runtime.frontend.frontend import FrontendOptions
from runtime.frontend.relay import RelayLimits
from runtime.frontend.sla import Targets
from runtime.router.kv.cost import KvSettings
from runtime.router.strategy import StrategyName

_RUNTIME = RuntimeConfig()
_FRONTEND = FrontendOptions()
_RELAY = RelayLimits()
_STRATEGIES = [name for name in get_args(StrategyName) if name != "direct"]  # has no instance here


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that one frontend process is told."""

    runtime: RuntimeConfig
    frontend: FrontendOptions
    drain_timeout: float
    log_level: str


def parse_arguments(arguments: Sequence[str] | None = None) -> Settings:
    """Return the settings; exits with 2 and says in one line what is wrong."""
    given = _parser().parse_args(arguments)
    return Settings(
        runtime=RuntimeConfig(
            store_url=given.store,
            plane_url=given.plane,
            namespace=given.namespace,
            host=given.stream_host,
        ),
        frontend=FrontendOptions(
            host=given.host,
            port=given.port,
            url=given.url,
            instance_id=given.instance_id,
            targets=Targets(ttft=given.ttft_target_ms, itl=given.itl_target_ms),
            relay=RelayLimits(
                queue_timeout=given.queue_timeout,
                queue_limit=given.queue_limit,
                migrations=given.migration_limit,
                request_timeout=given.request_timeout,
            ),
            strategy=given.strategy,
            kv=KvSettings(overlap_weight=given.kv_overlap_weight, temperature=given.kv_temperature),
            grace=given.model_grace,
        ),
        drain_timeout=given.drain_timeout,
        log_level=given.log_level,
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}\n\nhint: {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m runtime.frontend",
        description="Serve an OpenAI-compatible API from the workers of a namespace.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    _add_addresses(parser)
    _add_limits(parser)
    parser.add_argument(
        "--ttft-target-ms", type=_milliseconds, help="time to first token that counts as in time"
    )
    parser.add_argument(
        "--itl-target-ms", type=_milliseconds, help="mean inter-token latency that does"
    )
    _add_routing(parser)
    parser.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), default="info",
        help="what goes to stderr",
    )  # fmt: skip
    return parser


def _add_addresses(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--store", default=_RUNTIME.store_url, help="address of the discovery store")
    add("--plane", default=_RUNTIME.plane_url, help="address of the request plane")
    add("--instance-id", type=_whole(1, 2**63 - 1), help="its id in a static file of instances")
    add("--namespace", default=_RUNTIME.namespace, help="the deployment to serve")
    add("--host", default=_FRONTEND.host, help="address to listen on")
    add("--port", type=_whole(0, 65535), default=_FRONTEND.port, help="port to listen on, 0: any")
    add("--url", help="where others reach this frontend, if not at host and port")
    add("--stream-host", default=_RUNTIME.host, help="address that workers send responses to")


def _add_routing(parser: argparse.ArgumentParser) -> None:
    add, kv = parser.add_argument, _FRONTEND.kv
    add("--strategy", "--router", choices=_STRATEGIES, default=_FRONTEND.strategy,
        help="how an instance is chosen; kv: by what is cached and in hand there")  # fmt: skip
    add("--kv-overlap-weight", type=_number, default=kv.overlap_weight,
        help="of kv: weight of a prompt token to compute; one held in cache is 1")  # fmt: skip
    add("--kv-temperature", type=_number, default=kv.temperature,
        help="of kv: 0 takes the cheapest instance, more spreads requests")  # fmt: skip


def _add_limits(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--migration-limit", type=_whole(0, 100), default=_RELAY.migrations,
        help="how often a broken response goes on elsewhere")  # fmt: skip
    add("--queue-timeout", type=_seconds, default=_RELAY.queue_timeout,
        help="seconds a request waits for an instance of its model")  # fmt: skip
    add("--queue-limit", type=_whole(0, 1_000_000), default=_RELAY.queue_limit,
        help="requests that may wait so")  # fmt: skip
    add("--request-timeout", type=_seconds, default=_RELAY.request_timeout,
        help="seconds from arrival to the last token")  # fmt: skip
    add("--model-grace", type=_seconds, default=_FRONTEND.grace,
        help="seconds a model without workers stays known")  # fmt: skip
    add("--drain-timeout", type=_seconds, default=30.0,
        help="seconds that requests may take to finish on SIGTERM")  # fmt: skip


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: must be 0 seconds or more")
    return value


def _number(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: must be 0 or more")
    return value


def _milliseconds(text: str) -> float:
    value = float(text) / 1000
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: must be above 0 ms")
    return value


def _whole(low: int, high: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text}: must be from {low} to {high}")
        return value

    convert.__name__ = "whole number"  # as argparse names it in "invalid ... value"
    return convert
