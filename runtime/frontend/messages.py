"""The two kinds of prompt: messages of a chat, and text or tokens to complete."""

from collections.abc import Mapping
from typing import Any

from runtime.frontend.checks import Unsupported, is_token_list

Prompt = str | list[int]

_ROLES = ("system", "developer", "user", "assistant", "tool")
_PLAIN_KEYS = {"role", "content", "name", "tool_call_id"}


class FieldFault(ValueError):
    """Something inside a field is wrong; *path* says where, below the field."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


def check_messages(value: Any) -> list[dict[str, str]]:
    """Return the messages of a chat with their contents as text; raises ValueError."""
    if not isinstance(value, list) or not value:
        raise ValueError("must be a list of at least one message")
    return [_message(f"[{index}]", message) for index, message in enumerate(value)]


def check_prompt(value: Any) -> Prompt:
    """Return one text or one list of tokens; raises ValueError."""
    if isinstance(value, list) and value and isinstance(value[0], str | list):
        if len(value) > 1:
            raise Unsupported(f"one prompt a request is supported, not {len(value)}")
        value = value[0]
    if not value or not (isinstance(value, str) or is_token_list(value)):
        raise ValueError("must be a text or a list of token ids, and not be empty")
    return value if isinstance(value, str) else list(value)


def _message(path: str, message: Any) -> dict[str, str]:
    if not isinstance(message, dict):
        raise FieldFault(path, "must be an object")
    if message.get("role") not in _ROLES:
        raise FieldFault(f"{path}.role", f"must be one of {', '.join(_ROLES)}")
    checked = {"role": message["role"], "content": _content(path, message.get("content"))}
    for key, value in message.items():
        if key in _PLAIN_KEYS:
            continue
        if value not in (None, [], {}):  # what a client sends back of an earlier answer
            raise FieldFault(f"{path}.{key}", "is not supported")
    return checked | _plain(path, message)


def _plain(path: str, message: Mapping[str, Any]) -> dict[str, str]:
    plain = {key: message[key] for key in ("name", "tool_call_id") if message.get(key) is not None}
    for key, value in plain.items():
        if not isinstance(value, str):
            raise FieldFault(f"{path}.{key}", "must be a string")
    return plain


def _content(path: str, content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        raise FieldFault(f"{path}.content", "must be a text or a list of text parts")
    return "\n".join(_part(f"{path}.content[{at}]", part) for at, part in enumerate(content))


def _part(path: str, part: Any) -> str:
    if not isinstance(part, dict) or part.get("type") != "text":
        raise FieldFault(path, "only parts of type text are supported")
    if not isinstance(part.get("text"), str):
        raise FieldFault(f"{path}.text", "must be a string")
    return str(part["text"])
