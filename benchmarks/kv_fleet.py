"""A fleet of simulated engines behind the real router, on a virtual clock: exact and repeatable."""

import heapq
import statistics
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import numpy as np
from kv_loads import Request

from planner.core.engine import EngineModel
from runtime.instance import InstanceRecord
from runtime.kv_events.ledger import BlockLedger
from runtime.kv_events.messages import KvNews
from runtime.protocol import GenerateRequest, Sampling
from runtime.router.kv.cost import KvSettings
from runtime.router.kv.router import KvPlacement, KvRouter
from runtime.router.least_loaded import LeastLoaded
from workers.simulated.scheduler import Limits, Scheduler, Step
from workers.simulated.sequence import Sequence as EngineSequence


class _Event(NamedTuple):
    """An arrival, or with a *worker* the end of its step."""

    at: float
    number: int
    worker: int | None


class Fleet:
    """Serves *requests* to the end, routed by the caches with *settings*, or to the idlest."""

    def __init__(
        self,
        model: EngineModel,
        requests: Sequence[Request],
        *,
        workers: int,
        settings: KvSettings | None,
    ) -> None:
        rng = Random(1)
        limits = Limits(
            kv_blocks=model.kv_blocks,
            block_size=model.limits.block_size,
            max_num_seqs=model.limits.max_num_seqs,
            token_budget=model.limits.max_num_batched_tokens,
        )
        self._model = model
        self._requests = requests
        self._records = [
            InstanceRecord(namespace="n", component="c", endpoint="e", instance_id=n, subject="")
            for n in range(workers)
        ]
        self._ledgers = [BlockLedger(limits.block_size) for _ in self._records]
        self._engines = [
            Scheduler(limits, lambda one: one.produced + 300, ledger=ledger)
            for ledger in self._ledgers
        ]
        self._router = KvRouter(settings, rng) if settings is not None else None
        self._idlest = LeastLoaded(rng)
        self._told = [0] * workers
        self._steps: dict[int, Step] = {}
        self._in_flight: dict[int, int] = {}
        self._placements: dict[int, KvPlacement] = {}
        self._first: dict[int, float] = {}
        self._itls: list[float] = []
        self._agenda = [_Event(one.at, number, None) for number, one in enumerate(requests)]
        self._events = len(requests)

    def run(self) -> dict[str, float]:
        """Return the latencies in milliseconds and the share of prompt tokens that was cached."""
        for worker in range(len(self._engines)):
            self._tell(worker)
        heapq.heapify(self._agenda)
        while self._agenda:
            event = heapq.heappop(self._agenda)
            if event.worker is None:
                self._begin(event.at, self._arrive(event.number))
            else:
                self._commit(event.at, event.worker)
                self._begin(event.at, event.worker)
        ttfts = [self._first[number] - one.at for number, one in enumerate(self._requests)]
        assert self._router is None or not self._router.loads
        cached = sum(one.cached_tokens for one in self._engines)
        return {
            "ttft_ms_mean": round(statistics.mean(ttfts) * 1e3, 1),
            **{f"ttft_ms_p{q}": round(float(np.percentile(ttfts, q)) * 1e3, 1) for q in (50, 99)},
            "itl_ms_mean": round(statistics.mean(self._itls) * 1e3, 2),
            "itl_ms_p99": round(float(np.percentile(self._itls, 99)) * 1e3, 2),
            "cached_share": round(cached / sum(one.prompt_tokens for one in self._engines), 3),
        }

    def _arrive(self, number: int) -> int:
        request = self._requests[number]
        tokens = request.tokens()
        if self._router is None:
            worker = self._idlest.choose(self._records, self._in_flight).instance_id
            self._in_flight[worker] = self._in_flight.get(worker, 0) + 1
        else:
            placement = self._placements[number] = self._router.place(self._records, tokens)
            worker = placement.record.instance_id
        sampling = Sampling(max_tokens=request.osl, ignore_eos=True)
        asked = GenerateRequest(request_id=str(number), token_ids=tokens, sampling=sampling)
        self._engines[worker].add(EngineSequence.of(asked))
        return worker

    def _begin(self, now: float, worker: int) -> None:
        """Let an idle engine take its next step, if it has one to take."""
        if worker in self._steps:
            return
        step = self._engines[worker].schedule()
        if not step.parts:
            return
        self._steps[worker] = step
        seconds = self._model.step_seconds(
            decoding=step.decodes, kv_tokens=step.decode_context, chunks=step.chunks
        )
        self._events += 1
        heapq.heappush(self._agenda, _Event(now + seconds, self._events, worker))

    def _commit(self, now: float, worker: int) -> None:
        for sequence, _, reason in self._engines[worker].commit(self._steps.pop(worker)):
            number = int(sequence.request_id)
            placement = self._placements.get(number)
            if number not in self._first:
                self._first[number] = now
                if placement is not None:
                    placement.started()
            if reason is None:
                continue
            if sequence.produced > 1:
                self._itls.append((now - self._first[number]) / (sequence.produced - 1))
            if placement is not None:
                placement.end()
            else:
                self._in_flight[worker] -= 1
        self._tell(worker)

    def _tell(self, worker: int) -> None:
        ledger, is_first = self._ledgers[worker], not self._told[worker]
        events = ledger.everything() if is_first else ledger.news()
        if events and self._router is not None:
            self._told[worker] += 1
            self._router.take(
                KvNews(
                    instance_id=worker,
                    epoch=1,
                    number=self._told[worker],
                    block_size=ledger.block_size,
                    events=events,
                    restated=is_first,
                )
            )
