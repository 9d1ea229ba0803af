"""What a request asks for, checked: the bodies of /v1/chat/completions and /v1/completions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from runtime.frontend.checks import Check, Unsupported
from runtime.frontend.errors import ApiError, bad_field
from runtime.frontend.fields import CHAT_FIELDS, COMPLETION_FIELDS, check_stream_options
from runtime.frontend.messages import FieldFault, Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One request. Either *messages* or *prompt* is given; None leaves the choice to others."""

    model: str
    messages: list[dict[str, str]] | None = None
    prompt: Prompt | None = None
    max_tokens: int | None = None
    min_tokens: int = 0
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    min_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None
    logit_bias: dict[int, float] | None = None
    logprobs: int | None = None
    """How many likely tokens to show with each; None shows no probabilities."""
    priority: int = 0
    stream: bool = False
    include_usage: bool = False

    @property
    def prompt_field(self) -> str:
        """Return the name of the field that holds the prompt."""
        return "prompt" if self.messages is None else "messages"


def parse_chat(body: bytes) -> Wanted:
    """Return what a chat completion asks for; raises ApiError naming the field that is wrong."""
    values = _checked(body, CHAT_FIELDS, required=("model", "messages"))
    limit = values.pop("max_completion_tokens", None)
    if limit is not None:
        values["max_tokens"] = limit
    shown = values.pop("top_logprobs", 0)
    if values.pop("logprobs", False):
        values["logprobs"] = shown
    elif shown:
        raise bad_field("top_logprobs", "is allowed only with logprobs")
    return _wanted(values)


def parse_completion(body: bytes) -> Wanted:
    """Return what a completion asks for; raises ApiError naming the field that is wrong."""
    return _wanted(_checked(body, COMPLETION_FIELDS, required=("model", "prompt")))


def _wanted(values: dict[str, Any]) -> Wanted:
    options = values.pop("stream_options", None)
    if options is not None:
        values["include_usage"] = _stream_options(options, streamed=values.get("stream", False))
    if values.get("top_k") in {0, -1}:  # both mean all tokens
        del values["top_k"]
    if values.get("min_tokens", 0) > values.get("max_tokens", float("inf")):
        raise bad_field("min_tokens", "must not be above max_tokens")
    known = {key: value for key, value in values.items() if key in Wanted.__slots__}
    return Wanted(**known)


def _stream_options(options: Mapping[str, Any], *, streamed: bool) -> bool:
    if not streamed:
        raise bad_field("stream_options", "is allowed only with stream")
    try:
        return check_stream_options(options)
    except ValueError as error:
        raise bad_field("stream_options", str(error), code="unsupported_value") from None


def _checked(
    body: bytes, fields: Mapping[str, Check], *, required: tuple[str, ...]
) -> dict[str, Any]:
    """Return the fields that are given and not null, each checked."""
    given = {name: value for name, value in _decode(body).items() if value is not None}
    unknown = next((name for name in given if name not in fields), None)
    if unknown is not None:
        raise bad_field(unknown[:64], "is not a known field", code="unknown_parameter")
    missing = next((name for name in required if name not in given), None)
    if missing is not None:
        raise bad_field(missing, "is required", code="missing_required_parameter")
    return {name: _check(name, value, fields[name]) for name, value in given.items()}


def _check(name: str, value: Any, check: Check) -> Any:
    try:
        return check(value)
    except FieldFault as error:
        raise bad_field(f"{name}{error.path}", str(error)) from None
    except Unsupported as error:
        raise bad_field(name, str(error), code="unsupported_value") from None
    except ValueError as error:
        raise bad_field(name, str(error)) from None


def _decode(body: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ApiError(400, f"the body is not JSON: {error}", code="invalid_json") from None
    if not isinstance(value, dict):
        raise ApiError(400, "the body must be a JSON object", code="invalid_json")
    return value
