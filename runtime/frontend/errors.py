"""Failures in OpenAI's form: what the client sees of a bad request or of a fault behind it."""

from collections.abc import Iterable

from runtime.errors import (
    DeadlineExceeded,
    InvalidRequest,
    Overloaded,
    RuntimeFault,
)
from runtime.http.message import Header, HttpRefusal, Response, json_response

_RETRY_AFTER_SECONDS = 2


class ApiError(HttpRefusal):
    """A request that gets an error; *param* names the field that is wrong, if one is."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        param: str | None = None,
        headers: Iterable[Header] = (),
    ) -> None:
        super().__init__(status, message, headers=headers)
        self.code = code
        self.param = param


def bad_field(param: str, message: str, *, code: str = "invalid_value") -> ApiError:
    """Return the 400 for the field *param*."""
    return ApiError(400, f"{param}: {message}", code=code, param=param)


def from_fault(fault: RuntimeFault) -> ApiError:
    """Return how *fault* is told to the client."""
    if isinstance(fault, InvalidRequest):
        return ApiError(400, fault.message, code=fault.code)
    if isinstance(fault, DeadlineExceeded):
        return ApiError(504, fault.message, code=fault.code)
    if fault.retryable or isinstance(fault, Overloaded):
        retry = ("retry-after", str(_RETRY_AFTER_SECONDS))
        return ApiError(503, fault.message, code=fault.code, headers=[retry])
    return ApiError(500, fault.message, code=fault.code)


def error_body(error: HttpRefusal) -> dict[str, object]:
    """Return the JSON of *error*."""
    return {
        "error": {
            "message": error.message,
            "type": "invalid_request_error" if error.status < 500 else "server_error",
            "param": getattr(error, "param", None),
            "code": getattr(error, "code", None),
        }
    }


def render(error: HttpRefusal) -> Response:
    """Return the response for *error*, whoever refused."""
    return json_response(error_body(error), status=error.status, headers=error.headers)
