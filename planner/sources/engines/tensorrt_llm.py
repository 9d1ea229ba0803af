"""The names of `trtllm-serve`, read from tensorrt_llm/metrics/collector.py.

Of NVIDIA/TensorRT-LLM at commit 050f80def8df236e326949c8bd9dee10fd896a83; never seen on a running
server. Requests are counted with `return_perf_metrics: true`, and what is inside with
`enable_iter_perf_stats: true`. Its /metrics is another page: JSON, each figure told once.
"""

from planner.sources.engines.names import Amounts, EngineKind, EngineNames, Series, histogram

_ENDED = Series(name="trtllm_request_success_total")
_RUNNING = (Series(name="trtllm_num_requests_running"),)
_WAITING = (Series(name="trtllm_num_requests_waiting"),)

TENSORRT_LLM = EngineNames(
    kind=EngineKind.TENSORRT_LLM,
    version="TensorRT-LLM at 050f80de",
    prefix="trtllm_",
    path="/prometheus/metrics",
    entered=_ENDED,
    entering=(*_RUNNING, *_WAITING),
    finished=Series(
        name=_ENDED.name, label="finished_reason", values=frozenset({"stop", "length"})
    ),
    failed=None,  # trtllm_request_error_total counts refused requests too
    prompts=(Amounts(total=Series(name="trtllm_prompt_tokens_total"), count=_ENDED),),
    outputs=(Amounts(total=Series(name="trtllm_generation_tokens_total"), count=_ENDED),),
    ttft=histogram("trtllm_time_to_first_token_seconds"),
    itl=histogram("trtllm_time_per_output_token_seconds"),
    itl_is_per_request=True,
    running=_RUNNING,
    waiting=_WAITING,
    kv_usage=Series(name="trtllm_kv_cache_utilization"),
    kv_blocks=Series(name="trtllm_kv_cache_max_blocks"),
    kv_block_tokens=Series(name="trtllm_kv_cache_tokens_per_block"),
    preemptions=None,
    cached_tokens=Series(name="trtllm_prompt_cached_tokens_total"),
)
