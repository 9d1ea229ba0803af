"""A checked request into the tokens and the sampling that a worker is sent."""

from collections.abc import Mapping
from typing import Any

from runtime.frontend.errors import ApiError, bad_field
from runtime.frontend.model import ServedModel
from runtime.frontend.template import TemplateFault
from runtime.frontend.text import TextStream
from runtime.frontend.wanted import Wanted
from runtime.protocol import NEUTRAL, GenerateRequest, Sampling


async def prepare(model: ServedModel, wanted: Wanted, *, request_id: str) -> GenerateRequest:
    """Return what to send; raises ApiError when the model cannot take it."""
    token_ids = await _tokens(model, wanted)
    room = model.card.context_length - len(token_ids)
    max_tokens = room if wanted.max_tokens is None else wanted.max_tokens
    if max_tokens > room or room < 1:
        raise _too_long(model, wanted, prompt=len(token_ids))
    if wanted.min_tokens > max_tokens:
        raise bad_field("min_tokens", f"there is room for {max_tokens} tokens only")
    sampling = Sampling(
        max_tokens=max_tokens,
        min_tokens=wanted.min_tokens,
        temperature=wanted.temperature,
        top_p=wanted.top_p,
        top_k=wanted.top_k,
        seed=wanted.seed,
        ignore_eos=wanted.ignore_eos,
        stop_token_ids=wanted.stop_token_ids,
        **_extras(model, wanted),
    )
    return GenerateRequest(request_id=request_id, token_ids=token_ids, sampling=sampling)


def _extras(model: ServedModel, wanted: Wanted) -> dict[str, Any]:
    """Return what not every engine does; raises ApiError for what the model's workers do not."""
    chosen: dict[str, Any] = {}
    for name, neutral in NEUTRAL.items():
        value = getattr(wanted, name)
        if value is None:
            continue
        if name in model.extras:
            chosen[name] = value
        elif value != neutral:
            raise bad_field(
                name,
                f"the engines of model {model.card.name!r} do not support it",
                code="unsupported_value",
            )
    _check_bias(wanted.logit_bias or {}, limit=model.tokenizer.token_limit)
    return chosen


def _check_bias(bias: Mapping[int, float], *, limit: int) -> None:
    highest = max(bias, default=0)
    if highest >= limit:
        raise bad_field("logit_bias", f"token {highest} is not below {limit}")


def text_stream(model: ServedModel, wanted: Wanted) -> TextStream:
    """Return what turns the response's tokens into the text to show."""
    return TextStream(
        model.tokenizer.detokenizer(), stops=wanted.stop, min_tokens=wanted.min_tokens
    )


async def _tokens(model: ServedModel, wanted: Wanted) -> list[int]:
    tokenizer = model.tokenizer
    if wanted.messages is not None:
        prompt = _render(model, wanted.messages)
        token_ids = await tokenizer.encode(prompt, add_special_tokens=False)
    elif isinstance(wanted.prompt, str):
        token_ids = await tokenizer.encode(wanted.prompt, add_special_tokens=True)
    else:
        token_ids = _known_tokens(wanted.prompt or [], limit=tokenizer.token_limit)
    if not token_ids:
        raise bad_field(wanted.prompt_field, "has no tokens")
    return token_ids


def _render(model: ServedModel, messages: list[dict[str, str]]) -> str:
    template = model.tokenizer.chat_template
    if template is None:
        raise bad_field(
            "messages", f"model {model.card.name!r} has no chat template, use /v1/completions"
        )
    try:
        return template.render(messages)
    except TemplateFault as fault:
        raise bad_field("messages", f"the chat template refuses them: {fault}") from fault


def _known_tokens(token_ids: list[int], *, limit: int) -> list[int]:
    highest = max(token_ids, default=0)
    if highest >= limit:
        raise bad_field("prompt", f"token {highest} is not below {limit}")
    return token_ids


def _too_long(model: ServedModel, wanted: Wanted, *, prompt: int) -> ApiError:
    asked = f" and max_tokens {wanted.max_tokens}" if wanted.max_tokens is not None else ""
    return ApiError(
        400,
        f"model {model.card.name!r} has a context of {model.card.context_length} tokens; "
        f"the prompt of {prompt} tokens{asked} do not fit in it",
        code="context_length_exceeded",
        param=wanted.prompt_field,
    )
