"""How a request's sampling is said to vLLM: keyword arguments of its SamplingParams."""

from typing import Any

from runtime.protocol import GenerateRequest

PREFILL: dict[str, Any] = {
    "max_tokens": 1,
    "temperature": 0.0,
    "extra_args": {"kv_transfer_params": {"do_remote_decode": True, "do_remote_prefill": False}},
}
"""Computes a prompt for another engine. The one token that this yields is dropped."""

EXTRAS = ("min_p", "frequency_penalty", "presence_penalty", "repetition_penalty", "logit_bias",
          "logprobs")  # fmt: skip
"""What vLLM does of `runtime.protocol.NEUTRAL` whatever its arguments; these are its names too."""
PRIORITY = "priority"
"""What it does only with ``--scheduling-policy priority``; no sampling parameter there."""

_NEEDED = frozenset({"remote_engine_id", "remote_request_id", "remote_host", "remote_port",
                     "remote_block_ids", "tp_size"})  # fmt: skip


def sampling_arguments(request: GenerateRequest) -> dict[str, Any]:
    """Return the arguments for *request*; what is left out is up to the model's own defaults.

    Tokens produced before a migration count as produced. A seed goes on from another one, or the
    draws of the first tokens would be made again.
    """
    sampling, resumed = request.sampling, request.resumed
    chosen: dict[str, Any] = {
        "max_tokens": sampling.max_tokens - resumed,
        "min_tokens": max(0, sampling.min_tokens - resumed),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "seed": None if sampling.seed is None else sampling.seed + resumed,
        "ignore_eos": sampling.ignore_eos,
        "stop_token_ids": list(sampling.stop_token_ids) or None,
        **{name: getattr(sampling, name) for name in EXTRAS},
    }
    if request.transfer is not None:
        chosen["extra_args"] = {"kv_transfer_params": request.transfer}
    return {name: value for name, value in chosen.items() if value is not None}


def is_usable(transfer: dict[str, Any]) -> bool:
    """Return whether vLLM can find KV blocks by *transfer*.

    It waits for ever for blocks that it cannot ask for, so anything else is not given to it.
    """
    return bool(transfer.get("do_remote_prefill")) and transfer.keys() >= _NEEDED
