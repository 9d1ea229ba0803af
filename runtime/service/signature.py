"""What an endpoint method takes and gives, read from its annotations."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from runtime.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSignature:
    """One endpoint as callers and the server see it; types that are not annotated are Any."""

    name: str
    is_stream: bool
    request: str | None
    """The parameter that takes the request, None when it takes none."""
    context: str | None
    request_type: Any
    response_type: Any
    """Of one item, if it is a stream."""

    def arguments(self, request: Any, context: Context) -> dict[str, Any]:
        """Return the arguments of one invocation."""
        named = {self.request: request, self.context: context}
        return {name: value for name, value in named.items() if name is not None}


def read_signature(function: Callable[..., Any], *, name: str) -> EndpointSignature:
    """Return the signature of the method *function*. TypeError when it cannot be an endpoint."""
    hints = get_type_hints(function)
    parameters = list(inspect.signature(function).parameters)[1:]
    contexts = [parameter for parameter in parameters if hints.get(parameter) is Context]
    requests = [parameter for parameter in parameters if parameter not in contexts]
    is_stream = inspect.isasyncgenfunction(function)
    if not (is_stream or inspect.iscoroutinefunction(function)) or len(requests) > 1:
        raise TypeError(f"endpoint {name}: an async method with one request, or none, is expected")
    response = hints.get("return", Any)
    if is_stream:
        response = next(iter(get_args(response)), Any)
    return EndpointSignature(
        name=name,
        is_stream=is_stream,
        request=requests[0] if requests else None,
        context=contexts[0] if contexts else None,
        request_type=hints.get(requests[0], Any) if requests else Any,
        response_type=response,
    )
