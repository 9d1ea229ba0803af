"""The distributed runtime: instances that find each other, requests out, streams back.

Names are loaded when first used, so that importing one part does not pay for the others.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.call import Call
    from runtime.client import Client
    from runtime.component import Component, Endpoint, Namespace
    from runtime.config import RuntimeConfig
    from runtime.context import Context, current_context
    from runtime.instance import InstanceRecord, InstanceState
    from runtime.process import die_with_parent, run_process
    from runtime.response import ResponseStream
    from runtime.runtime import DistributedRuntime
    from runtime.serving import ServedEndpoint
    from runtime.stream.inbound import Sink

_HOMES = {
    "Call": "call",
    "Client": "client",
    "Component": "component",
    "Context": "context",
    "DistributedRuntime": "runtime",
    "Endpoint": "component",
    "InstanceRecord": "instance",
    "InstanceState": "instance",
    "Namespace": "component",
    "ResponseStream": "response",
    "RuntimeConfig": "config",
    "ServedEndpoint": "serving",
    "Sink": "stream.inbound",
    "current_context": "context",
    "die_with_parent": "process",
    "run_process": "process",
}

__all__ = [
    "Call",
    "Client",
    "Component",
    "Context",
    "DistributedRuntime",
    "Endpoint",
    "InstanceRecord",
    "InstanceState",
    "Namespace",
    "ResponseStream",
    "RuntimeConfig",
    "ServedEndpoint",
    "Sink",
    "current_context",
    "die_with_parent",
    "run_process",
]


def __getattr__(name: str) -> Any:
    """Return the public *name*, importing its module."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
