"""Whether a decode worker sends a prefill away, and the two limits that this depends on."""

from typing import Annotated

import msgspec


class Limits(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """When prefilling elsewhere is worth it; kept in the store as JSON and changed there live."""

    max_local_prefill_length: Annotated[int, msgspec.Meta(ge=0)] = 128
    """Uncached prompt tokens up to which a decode worker prefills itself."""
    max_prefill_queue_size: Annotated[int, msgspec.Meta(ge=0)] = 32
    """Prefills, waiting and in work over all prefill workers, at which no more are sent away."""


def settings_key(namespace: str) -> str:
    """Return where the store keeps the limits of a namespace."""
    return f"config/{namespace}/disaggregation"


def prefill_remotely(
    uncached_tokens: int, *, queue_depth: int | None, limits: Limits, prefill_workers_present: bool
) -> bool:
    """Return whether a prompt with so many uncached tokens is prefilled by another worker.

    A queue that is full or unknown means here: the wait in it has no bound that is known.
    """
    return (
        prefill_workers_present
        and uncached_tokens > limits.max_local_prefill_length
        and queue_depth is not None
        and queue_depth < limits.max_prefill_queue_size
    )


def parse_limits(value: bytes, defaults: Limits) -> Limits:
    """Return the limits in a JSON object; those left out are the *defaults*'.

    Raises ValueError that says what is wrong and where.
    """
    given = msgspec.json.decode(value, type=Limits)  # its errors name the field and the limit
    named = msgspec.json.decode(value, type=dict[str, int])
    return msgspec.structs.replace(defaults, **{name: getattr(given, name) for name in named})
