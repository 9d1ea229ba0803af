"""The decorators: they mark, and change nothing; `describe` reads the marks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from runtime.instance import checked_name
from runtime.service.signature import EndpointSignature, read_signature

C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])

_SERVICE = "__runtime_service__"
_ENDPOINT = "__runtime_endpoint__"
_HOOK = "__runtime_hook__"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceName:
    """Where a service is found; without a namespace it is in that of the runtime."""

    namespace: str | None
    component: str


@overload
def service(target: C) -> C: ...
@overload
def service(*, namespace: str | None = None, component: str | None = None) -> Callable[[C], C]: ...
def service(
    target: C | None = None, *, namespace: str | None = None, component: str | None = None
) -> C | Callable[[C], C]:
    """Make a class a service: ``@service`` or ``@service(namespace=..., component=...)``.

    The component is named like the class unless *component* says otherwise.
    """

    def mark(cls: C) -> C:
        name = checked_name("component", component or cls.__name__)
        if namespace is not None:
            checked_name("namespace", namespace)
        setattr(cls, _SERVICE, ServiceName(namespace=namespace, component=name))
        return cls

    return mark if target is None else mark(target)


@overload
def endpoint(target: F) -> F: ...
@overload
def endpoint(*, name: str | None = None) -> Callable[[F], F]: ...
def endpoint(target: F | None = None, *, name: str | None = None) -> F | Callable[[F], F]:
    """Make an asynchronous method an endpoint: ``@endpoint`` or ``@endpoint(name=...)``.

    An async generator is a stream, a coroutine one value. It takes one request, or none, and the
    Context if a parameter is annotated with it. Requests that do not fit the annotation are
    refused, and callers decode responses by the return annotation.
    """

    def mark(function: F) -> F:
        setattr(function, _ENDPOINT, checked_name("endpoint", name or function.__name__))
        return function

    return mark if target is None else mark(target)


def async_on_start(function: F) -> F:
    """Run this method, asynchronous or not, before the endpoints are served."""
    setattr(function, _HOOK, "start")
    return function


def on_shutdown(function: F) -> F:
    """Run this method, asynchronous or not, after the endpoints have left."""
    setattr(function, _HOOK, "shutdown")
    return function


def service_name(cls: type) -> ServiceName:
    """Return where *cls* is found. TypeError when it is no service."""
    found = vars(cls).get(_SERVICE)
    if not isinstance(found, ServiceName):
        raise TypeError(f"{cls.__qualname__} is not a service: decorate it with @service")
    return found


def service_endpoints(cls: type) -> dict[str, EndpointSignature]:
    """Return what the endpoints of *cls* take and give, by attribute."""
    return {
        attribute: read_signature(value, name=getattr(value, _ENDPOINT))
        for attribute, value in _members(cls)
        if hasattr(value, _ENDPOINT)
    }


def service_hooks(cls: type, when: str) -> list[str]:
    """Return the attributes that run at *when*: "start" or "shutdown"."""
    return [attribute for attribute, value in _members(cls) if getattr(value, _HOOK, None) == when]


def _members(cls: type) -> list[tuple[str, Any]]:
    """Return the attributes of *cls* and its bases, in the order of their definition."""
    merged: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        merged.update(vars(base))
    return list(merged.items())
