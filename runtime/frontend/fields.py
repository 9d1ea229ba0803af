"""Every field of the two generating endpoints: which values it may have. Unknown ones are errors.

Fields that this server does not act on are accepted with the values that change nothing.
"""

from collections.abc import Mapping
from typing import Any

from runtime.frontend.checks import (
    Check,
    flag,
    integer,
    logit_bias,
    mapping,
    name,
    number,
    only,
    stop_strings,
    text,
    token_ids,
)
from runtime.frontend.messages import check_messages, check_prompt

_ONE_CHOICE = "only one choice a request is supported"

_COMMON: Mapping[str, Check] = {
    "model": name,
    "max_tokens": integer(1),
    "min_tokens": integer(0),
    "temperature": number(0, 2),
    "top_p": number(0, 1, above_low=True),
    "top_k": integer(-1),
    "seed": integer(-(2**63)),
    "stop": stop_strings,
    "stop_token_ids": token_ids,
    "ignore_eos": flag,
    "stream": flag,
    "stream_options": mapping,
    "n": only(1, what=_ONE_CHOICE),
    "user": text,
    "metadata": mapping,
    "frequency_penalty": number(-2, 2),
    "presence_penalty": number(-2, 2),
    "repetition_penalty": number(0, 2, above_low=True),
    "length_penalty": only(1),
    "min_p": number(0, 1),
    "logit_bias": logit_bias,
    "priority": integer(-(2**31), 2**31 - 1),
    "use_beam_search": only(False),
    "skip_special_tokens": only(True),
    "spaces_between_special_tokens": only(True),
    "include_stop_str_in_output": only(False),
    "safety_identifier": text,
    "prompt_cache_key": text,
    "service_tier": only("auto", "default"),
    "store": only(False),
}

CHAT_FIELDS: Mapping[str, Check] = {
    **_COMMON,
    "messages": check_messages,
    "max_completion_tokens": integer(1),
    "logprobs": flag,
    "top_logprobs": integer(0, 20),
    "tools": only([], what="tools are not supported"),
    "tool_choice": only("none", "auto", what="tools are not supported"),
    "parallel_tool_calls": flag,
    "functions": only([], what="functions are not supported"),
    "function_call": only("none", "auto", what="functions are not supported"),
    "response_format": only({"type": "text"}, what="only text is supported"),
    "modalities": only(["text"], what="only text is supported"),
    "add_generation_prompt": only(True),
    "continue_final_message": only(False),
}

COMPLETION_FIELDS: Mapping[str, Check] = {
    **_COMMON,
    "prompt": check_prompt,
    "best_of": only(1, what=_ONE_CHOICE),
    "echo": only(False, what="echoing the prompt is not supported"),
    "suffix": only("", what="a suffix is not supported"),
    "logprobs": integer(0, 20),
}


def check_stream_options(options: Mapping[str, Any]) -> bool:
    """Return whether the stream ends with its usage; raises ValueError."""
    include_usage = False
    for key, value in options.items():
        if key == "include_usage" and isinstance(value, bool | None):
            include_usage = bool(value)
        elif key != "include_obfuscation" or value not in (None, False):
            raise ValueError(f"{key} is not supported with this value")
    return include_usage
