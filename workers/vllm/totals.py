"""What vLLM tells step by step, folded into the figures that a worker shows.

vLLM does not say how long a step took (it prepares the next one meanwhile), nor how much KV cache
a step read. Both are told from outside: by when results arrive, and by the lengths of requests.
"""

from collections.abc import Callable
from dataclasses import dataclass

from workers.engine import EngineStats, TransferTotals
from workers.step_totals import StepSums


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One engine process after one step. Counts are of that step; None: not told this time."""

    rank: int = 0
    """Which of the data-parallel engines."""
    running: int | None = None
    waiting: int | None = None
    without_room: int = 0
    """Of those waiting, the ones that wait for a place and not for KV from another engine."""
    kv_usage: float | None = None
    prefilling: int | None = None
    """Requests with prompt tokens in the step; None if nothing was computed."""
    prefilling_tokens: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    received_tokens: int = 0
    """Prompt tokens whose KV came from another engine."""
    generated_tokens: int = 0
    preemptions: int = 0
    transfers: int = 0
    transferred_bytes: int = 0
    transfer_seconds: float = 0.0
    failed_transfers: int = 0


@dataclass(slots=True)
class _Gauges:
    running: int = 0
    waiting: int = 0
    without_room: int = 0
    kv_usage: float = 0.0


class Totals:
    """Adds up reports, and what the requests themselves show.

    *on_step* is told the seconds of each step; *clock* returns seconds that never go back.
    """

    def __init__(self, *, on_step: Callable[[float], None], clock: Callable[[], float]) -> None:
        self._on_step = on_step
        self._clock = clock
        self._mark = clock()
        self._gauges: dict[int, _Gauges] = {}
        self._prompts: dict[str, int] = {}
        self._kv_blocks: int | None = None
        self._counts = dict.fromkeys(_SUMMED, 0)
        self._failed_outside = 0
        self._transfer_seconds = 0.0
        self._steps = StepSums()

    def loaded(self, kv_blocks: int) -> None:
        """Note how many KV blocks each engine has."""
        self._kv_blocks = kv_blocks

    def record(self, report: Report) -> None:
        """Add *report*."""
        gauges = self._gauges.setdefault(report.rank, _Gauges())
        if report.running is not None:
            gauges.running = report.running
            gauges.waiting = report.waiting or 0
            gauges.without_room = report.without_room
            gauges.kv_usage = report.kv_usage or 0.0
        for name in _SUMMED:
            self._counts[name] += getattr(report, name)
        self._transfer_seconds += report.transfer_seconds
        self._time(report)

    def begin(self, request_id: str, prompt_tokens: int, *, is_remote: bool) -> None:
        """Note a request that was given to the engine; its prompt waits unless it comes by KV."""
        if not any(gauges.running for gauges in self._gauges.values()):
            self._mark = self._clock()
        if not is_remote:
            self._prompts[request_id] = prompt_tokens

    def first(self, request_id: str, prompt_tokens: int, *, cached_tokens: int) -> None:
        """Note the first token of a request.

        One whose KV came from elsewhere computes it like any other token: from the whole cache.
        """
        if self._prompts.pop(request_id, None) is None:
            self.more(prompt_tokens - 1, 1)
            return
        self._steps.chunk(cached_tokens, prompt_tokens)

    def more(self, context: int, tokens: int) -> None:
        """Note *tokens* more of a request that had *context* tokens in its cache before."""
        self._steps.decode(tokens, kv_tokens=tokens * context + tokens * (tokens + 1) // 2)

    def end(self, request_id: str) -> None:
        """Forget a request."""
        self._prompts.pop(request_id, None)

    def refuse(self) -> None:
        """Count a transfer that the engine was not even given."""
        self._failed_outside += 1

    @property
    def is_full(self) -> bool:
        """Whether requests wait for a place."""
        return any(gauges.without_room for gauges in self._gauges.values())

    def read(self) -> EngineStats:
        """Return the figures as they are."""
        usage = sum(gauges.kv_usage for gauges in self._gauges.values())
        blocks, engines = self._kv_blocks, max(1, len(self._gauges))
        return EngineStats(
            running=sum(gauges.running for gauges in self._gauges.values()),
            waiting=sum(gauges.waiting for gauges in self._gauges.values()),
            waiting_tokens=sum(self._prompts.values()),
            kv_blocks_used=None if blocks is None else round(usage * blocks),
            kv_blocks_total=None if blocks is None else blocks * engines,
            preemptions=self._counts["preemptions"],
            prompt_tokens=self._counts["prompt_tokens"],
            cached_tokens=self._counts["cached_tokens"],
            generated_tokens=self._counts["generated_tokens"],
            steps=self._steps.read(),
            transfers=TransferTotals(
                received=self._counts["transfers"],
                failed=self._counts["failed_transfers"] + self._failed_outside,
                tokens=self._counts["received_tokens"],
                bytes=self._counts["transferred_bytes"],
                seconds=self._transfer_seconds,
            ),
        )

    def _time(self, report: Report) -> None:
        """Time a step from the one before it, or from when its first request came."""
        now = self._clock()
        if report.prefilling is not None:
            self._on_step(now - self._mark)
            if report.prefilling_tokens > report.prefilling:  # one token alone is like decoding
                self._steps.prefill_step()
        self._mark = now


_SUMMED = ("prompt_tokens", "cached_tokens", "received_tokens", "generated_tokens", "preemptions",
           "transfers", "transferred_bytes", "failed_transfers")  # fmt: skip
