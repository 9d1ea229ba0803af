"""What the frontend adds: time to first token, and CPU a token, against the worker called directly.

Both sides send the same token ids to the same worker, in alternating rounds, with a closed loop of
1, 16 and 64 requests. The worker's own time is the simulated engine's and cancels out.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from local_deployment import Running, serving
from results_file import RESULTS, write

from planner.replay.endpoint import Endpoint
from planner.replay.prompts import body
from runtime import DistributedRuntime, RuntimeConfig
from runtime.client import Client
from runtime.protocol import GenerateRequest, Sampling, TokenDelta

CONCURRENCIES = (1, 16, 64)
ROUNDS = 3
ISL, OSL = 256, 64

Send = Callable[[int], Awaitable[tuple[float, int]]]
"""Sends request number n; returns its time to first token in seconds and its output tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One closed loop: medians over its requests, CPU of the frontend process over its tokens."""

    ttft_ms_p50: float
    ttft_ms_p99: float
    tokens_per_second: float
    frontend_cpu_us_per_token: float


async def closed_loop(send: Send, *, concurrency: int, running: Running) -> Round:
    """Keep *concurrency* requests under way until each has been replaced a few times."""
    frontend = running.process("runtime.frontend")
    numbers = iter(range(max(24, concurrency * 4)))
    ttfts: list[float] = []
    tokens = 0

    async def client() -> None:
        nonlocal tokens
        for number in numbers:
            ttft, count = await send(number)
            ttfts.append(ttft)
            tokens += count

    before, began = sum(frontend.cpu_times()[:2]), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(client())
    seconds = time.perf_counter() - began
    cpu = sum(frontend.cpu_times()[:2]) - before
    p50, p99 = (float(np.percentile(ttfts, q)) * 1e3 for q in (50, 99))
    return Round(
        ttft_ms_p50=p50,
        ttft_ms_p99=p99,
        tokens_per_second=tokens / seconds,
        frontend_cpu_us_per_token=cpu / tokens * 1e6,
    )


def through_frontend(endpoint: Endpoint, model: str) -> Send:
    """Return a sender over HTTP, as a user's client does it."""
    rng = np.random.default_rng(1)

    async def send(_: int) -> tuple[float, int]:
        payload = body(ISL, OSL, model=model, rng=rng)
        began = endpoint.clock()
        answer = await endpoint.complete(payload)
        return answer.first - began, answer.tokens

    return send


def directly(client: Client) -> Send:
    """Return a sender over the runtime, without HTTP, text or the frontend."""
    # Prompts of its own: those of the other side would be found in the worker's prefix cache.
    rng = np.random.default_rng(2)
    sampling = Sampling(max_tokens=OSL, min_tokens=OSL, ignore_eos=True)

    async def send(number: int) -> tuple[float, int]:
        tokens = rng.integers(100, 256, size=ISL).tolist()
        request = GenerateRequest(
            request_id=f"direct-{number}", token_ids=tokens, sampling=sampling
        )
        began, first, count = time.perf_counter(), None, 0
        stream = await client.generate(request, response_type=TokenDelta)
        async for delta in stream:
            first = first or time.perf_counter()
            count += len(delta.token_ids)
        assert first is not None
        return first - began, count

    return send


async def measure(running: Running) -> dict[str, dict[str, float]]:
    """Return the medians over the rounds, by concurrency."""
    spec = running.spec
    config = RuntimeConfig(
        store_url=spec["store_url"], plane_url=spec["plane_url"], namespace=spec["namespace"]
    )
    rows = {}
    async with (
        await DistributedRuntime.connect(config) as runtime,
        Endpoint(spec["frontend_url"]) as endpoint,
    ):
        client = await runtime.endpoint("aggregated", "generate").client("least_loaded")
        await client.wait_for_instances(timeout=10)
        model = (await endpoint.models())[0]
        ways = {"frontend": through_frontend(endpoint, model), "direct": directly(client)}
        for concurrency in CONCURRENCIES:
            rounds: dict[str, list[Round]] = {name: [] for name in ways}
            for _ in range(ROUNDS):
                for name, send in ways.items():
                    found = await closed_loop(send, concurrency=concurrency, running=running)
                    rounds[name].append(found)
            rows[str(concurrency)] = _row(rounds["frontend"], rounds["direct"])
            print(f"concurrency {concurrency}: {json.dumps(rows[str(concurrency)])}", flush=True)
    return rows


def _row(frontend: list[Round], direct: list[Round]) -> dict[str, float]:
    def median(rounds: list[Round], name: str) -> float:
        return round(float(statistics.median(asdict(r)[name] for r in rounds)), 2)

    row = {f"frontend_{name}": median(frontend, name) for name in ("ttft_ms_p50", "ttft_ms_p99")}
    row |= {f"direct_{name}": median(direct, name) for name in ("ttft_ms_p50", "ttft_ms_p99")}
    return row | {
        "added_ttft_ms_p50": round(row["frontend_ttft_ms_p50"] - row["direct_ttft_ms_p50"], 2),
        "added_ttft_ms_p99": round(row["frontend_ttft_ms_p99"] - row["direct_ttft_ms_p99"], 2),
        "frontend_tokens_per_second": median(frontend, "tokens_per_second"),
        "direct_tokens_per_second": median(direct, "tokens_per_second"),
        "frontend_cpu_us_per_token": median(frontend, "frontend_cpu_us_per_token"),
    }


def main() -> None:
    """Measure and write results/request_path.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS / "request_path.json")
    out: Path = parser.parse_args().out
    with serving("--aggregated", "1", "--planner", "off", "--http-port", "0") as running:
        rows = asyncio.run(measure(running))
    write(out, {"isl": ISL, "osl": OSL, "rounds": ROUNDS, "concurrency": rows})


if __name__ == "__main__":
    main()
