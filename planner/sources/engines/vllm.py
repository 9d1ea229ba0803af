"""The names of `vllm serve`, as vLLM 0.32.0 tells them.

Seen on a running server; tests/vllm scrapes one and fails where a name is gone.
"""

from planner.sources.engines.names import EngineKind, EngineNames, Series, histogram

_REASON = "finished_reason"
_WAITING = (Series(name="vllm:num_requests_waiting"),)

VLLM = EngineNames(
    kind=EngineKind.VLLM,
    version="vLLM 0.32.0",
    prefix="vllm:",
    path="/metrics",
    # Not where they end: whose client leaves is nowhere counted as ended.
    entered=Series(name="vllm:time_to_first_token_seconds_count"),
    entering=_WAITING,
    finished=Series(
        name="vllm:request_success_total",
        label=_REASON,
        values=frozenset({"stop", "length", "repetition"}),
    ),
    failed=Series(name="vllm:request_success_total", label=_REASON, values=frozenset({"error"})),
    prompts=(histogram("vllm:request_prompt_tokens"),),
    outputs=(histogram("vllm:request_generation_tokens"),),
    ttft=histogram("vllm:time_to_first_token_seconds"),
    itl=histogram("vllm:request_time_per_output_token_seconds"),
    itl_is_per_request=True,
    running=(Series(name="vllm:num_requests_running"),),
    waiting=_WAITING,
    kv_usage=Series(name="vllm:kv_cache_usage_perc"),
    kv_tokens_label=("vllm:cache_config_info", "kv_cache_size_tokens"),
    preemptions=Series(name="vllm:num_preemptions_total"),
    cached_tokens=Series(name="vllm:prompt_tokens_cached_total"),
)
