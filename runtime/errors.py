"""The runtime's one tree of errors. Each has a *code* that survives the wire."""

from typing import ClassVar


class RuntimeFault(Exception):
    """Something failed between a client and an instance; *code* is stable, the message is prose."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False
    """Whether another instance may succeed where this one did not."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NoInstances(RuntimeFault):
    """Nobody serves the endpoint."""

    code = "no_instances"
    retryable = True


class NoResponders(RuntimeFault):
    """The instance that was chosen is listed but gone."""

    code = "no_responders"
    retryable = True


class StreamBroken(RuntimeFault):
    """The response stream ended without its end frame: the worker or the network died."""

    code = "stream_broken"
    retryable = True


class Draining(RuntimeFault):
    """The instance takes nothing new."""

    code = "draining"
    retryable = True


class DeadlineExceeded(RuntimeFault):
    """The request's time was up."""

    code = "deadline_exceeded"


class Cancelled(RuntimeFault):
    """The client asked for the end of the request."""

    code = "cancelled"


class InvalidRequest(RuntimeFault):
    """The engine refuses the request as it is; another instance would too."""

    code = "invalid_request"


class Overloaded(RuntimeFault):
    """A bounded queue is full."""

    code = "overloaded"


class PrefillFailed(RuntimeFault):
    """The prefill queue gave the request up after its last attempt."""

    code = "prefill_failed"


class MalformedFrame(RuntimeFault):
    """Bytes that are not a frame, or one beyond the length limits."""

    code = "malformed_frame"


class StoreUnavailable(RuntimeFault):
    """The discovery store does not answer."""

    code = "store_unavailable"


class MessagingUnavailable(RuntimeFault):
    """The request plane or a work queue does not answer."""

    code = "messaging_unavailable"
    retryable = True


class InvalidDeployment(RuntimeFault):
    """The file of a static deployment cannot be used, or does not know what was asked of it."""

    code = "invalid_deployment"


class ServerUnavailable(RuntimeFault):
    """A local etcd or nats-server cannot be started: not installed, or it does not listen."""

    code = "server_unavailable"


def from_wire(code: str, message: str) -> RuntimeFault:
    """Return the fault that *code* names; an unknown code becomes the root class."""
    for kind in RuntimeFault.__subclasses__():
        if kind.code == code:
            return kind(message)
    return RuntimeFault(message)
