"""What travels through the prefill queue. The answer, `Prefilled`, goes over a response stream."""

import msgspec

from runtime.errors import InvalidRequest
from runtime.protocol import GenerateRequest
from workers.engine import Prefilled


class RemotePrefillRequest(msgspec.Struct, kw_only=True, frozen=True):
    """One prefill and where its result is awaited: a stream of the decode worker's listener.

    It carries no deadline: who gives up closes the stream, and a prefill worker that finds the
    stream gone skips the item.
    """

    request: GenerateRequest
    reply: str
    """Where the decode worker listens: ``host:port``."""
    stream: int


_encode = msgspec.msgpack.Encoder().encode
_decode_request = msgspec.msgpack.Decoder(RemotePrefillRequest).decode
_decode_result = msgspec.msgpack.Decoder(Prefilled).decode


def queue_name(namespace: str) -> str:
    """Return the name of the prefill queue of *namespace*."""
    return f"{namespace}-prefill"


def dead_letter_name(namespace: str) -> str:
    """Return the name of the queue of prefills that were given up."""
    return f"{queue_name(namespace)}.dead"


def encode(message: RemotePrefillRequest | Prefilled) -> bytes:
    """Return *message* as it travels."""
    return _encode(message)


def decode_request(body: bytes) -> RemotePrefillRequest:
    """Return the request in *body*. Raises InvalidRequest."""
    try:
        return _decode_request(body)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"a prefill request that is none: {error}") from error


def decode_result(body: bytes) -> Prefilled:
    """Return the result in *body*. Raises InvalidRequest."""
    try:
        return _decode_result(body)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"a prefill result that is none: {error}") from error
