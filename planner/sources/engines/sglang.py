"""The names of SGLang, read from python/sglang/srt/observability/metrics_collector.py.

Of sgl-project/sglang at commit 016d8605e45876180312e29d6988e1de06562472, with the older ones of
python/sglang/srt/metrics/collector.py at 00ae9c1590d2d0bb6c0bfff39e312c34ae3dd538 as alternatives.
Never seen on a running server. It tells nothing without `--enable-metrics`.
"""

from planner.sources.engines.names import Amounts, EngineKind, EngineNames, Series, histogram

_REQUESTS = Series(name="sglang:num_requests_total")


def _queue(name: str) -> Series:
    # With priority scheduling each priority has a series of its own beside the total's.
    return Series(name=f"sglang:{name}", label="priority", values=frozenset({""}))


_RUNNING = (_queue("num_running_reqs"),)
_WAITING = (
    _queue("num_queue_reqs"),
    _queue("num_prefill_bootstrap_queue_reqs"),
    _queue("num_prefill_prealloc_queue_reqs"),  # its older name
    _queue("num_prefill_inflight_queue_reqs"),
    _queue("num_decode_prealloc_queue_reqs"),
    _queue("num_decode_transfer_queue_reqs"),
)


def _lengths(kind: str) -> tuple[Amounts, ...]:
    counters = Amounts(total=Series(name=f"sglang:{kind}_tokens_total"), count=_REQUESTS)
    return histogram(f"sglang:{kind}_tokens_histogram"), counters


SGLANG = EngineNames(
    kind=EngineKind.SGLANG,
    version="SGLang at 016d8605",
    prefix="sglang:",
    path="/metrics",
    # Where they end, since a prefill server counts no first token. Who leaves while waiting is
    # missed, and how a request ended is not told.
    entered=_REQUESTS,
    entering=(*_RUNNING, *_WAITING),
    finished=_REQUESTS,
    failed=None,
    prompts=_lengths("prompt"),
    outputs=_lengths("generation"),
    ttft=histogram("sglang:time_to_first_token_seconds"),
    itl=histogram("sglang:inter_token_latency_seconds"),
    itl_is_per_request=False,
    running=_RUNNING,
    waiting=_WAITING,
    kv_usage=Series(name="sglang:token_usage"),
    kv_blocks=Series(name="sglang:max_total_num_tokens"),
    preemptions=Series(name="sglang:num_retracted_requests_total"),
    cached_tokens=Series(name="sglang:cached_tokens_total"),
)
