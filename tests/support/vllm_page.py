"""A metrics page as vLLM's, of an engine that has answered seven requests."""

_PAGE = """\
vllm:num_requests_running{{model_name="m"}} {running}
vllm:num_requests_waiting{{model_name="m"}} {waiting}
vllm:kv_cache_usage_perc{{model_name="m"}} {usage:.3f}
vllm:request_success_total{{finished_reason="stop",model_name="m"}} 7
vllm:time_to_first_token_seconds_count{{model_name="m"}} 7
vllm:request_prompt_tokens_count{{model_name="m"}} 7
vllm:request_prompt_tokens_sum{{model_name="m"}} 700
vllm:request_generation_tokens_count{{model_name="m"}} 7
vllm:request_generation_tokens_sum{{model_name="m"}} 700
"""


def vllm_page(*, running: int, waiting: int = 0, usage: float = 0.1) -> str:
    """Return the page of an engine with so many requests, and that share of its KV blocks used."""
    return _PAGE.format(running=running, waiting=waiting, usage=usage)
