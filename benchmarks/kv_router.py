"""What routing by caches gains, and what it costs: least_loaded against kv under the same prompts.

Fleets of simulated engines behind the real router, on a virtual clock, so that figures repeat.
Prompts are of conversations drawn here or, with --trace, share beginnings as the hash ids of a
recording say (in Mooncake's format). With --deployed it is two deployments of `planner serve` in
turn, with the same requests at the same moments. Each writes its part of the results.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random

import aiohttp
import numpy as np
from kv_fleet import Fleet
from kv_loads import Request, conversations, recorded, sharable
from local_deployment import serving
from results_file import RESULTS, provenance, write

from planner.profiles import load_profile
from planner.replay.endpoint import Endpoint
from runtime.instance import InstanceRecord
from runtime.kv_events.blocks import block_hashes
from runtime.kv_events.messages import Cleared, KvNews, Stored
from runtime.router.kv.cost import KvSettings
from runtime.router.kv.router import KvRouter

PROFILE = "llama-3.1-8b-fp8-h200"
STRATEGIES = ("least_loaded", "kv")
WEIGHTS = (1.0, 4.0, 8.0, 16.0)
WORKERS = 4
RECORDED_WORKERS = 6
SETTLE_SECONDS = 1.0


def bodies(requests: Sequence[Request], model: str) -> Iterator[bytes]:
    """Yield the body of each request."""
    for one in requests:
        yield json.dumps(
            {
                "model": model,
                "prompt": one.tokens(),
                "max_tokens": one.osl,
                "min_tokens": one.osl,
                "ignore_eos": True,
                "stream": True,
                "stream_options": {"include_usage": True},
            }
        ).encode()


async def sent(url: str, requests: Sequence[Request]) -> list[float]:
    """Send *requests* at their moments; return their times to first token, in seconds."""
    async with Endpoint(url) as endpoint:
        model = (await endpoint.models())[0]
        payloads = list(bodies(requests, model))
        began = endpoint.clock()

        async def send(one: Request, payload: bytes) -> float:
            await asyncio.sleep(began + one.at - endpoint.clock())
            at = endpoint.clock()
            return (await endpoint.complete(payload)).first - at

        pairs = zip(requests, payloads, strict=True)
        return list(await asyncio.gather(*(send(one, payload) for one, payload in pairs)))


async def counted(url: str) -> dict[str, float]:
    """Return the sums of the frontend's counters, over models."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as response:
        page = await response.text()
    sums: dict[str, float] = {}
    for line in page.splitlines():
        if line.startswith("planner_frontend_"):
            name, _, value = line.rpartition(" ")
            short = name.partition("{")[0].removeprefix("planner_frontend_")
            sums[short] = sums.get(short, 0.0) + float(value)
    return sums


def measured(strategy: str, requests: Sequence[Request]) -> dict[str, float]:
    """Return what one deployment with *strategy* makes of *requests*."""
    flags = ("--aggregated", str(WORKERS), "--planner", "off", "--cold-start", "0s")
    with serving(*flags, "--http-port", "0", "--router", strategy) as running:
        url = running.spec["frontend_url"]
        time.sleep(SETTLE_SECONDS)
        ttfts = asyncio.run(sent(url, requests))
        sums = asyncio.run(counted(url))
    prompt = sums["input_sequence_tokens_sum"]
    figures = {
        "ttft_ms_mean": statistics.mean(ttfts) * 1e3,
        **{f"ttft_ms_p{q}": float(np.percentile(ttfts, q)) * 1e3 for q in (50, 90, 99)},
        "cached_share": sums["cached_tokens_total"] / prompt,
        "expected_share": sums["expected_cached_tokens_total"] / prompt,
    }
    return {name: round(value, 3) for name, value in figures.items()}


def simulated(requests: Sequence[Request], *, workers: int) -> dict[str, object]:
    """Return what fleets on a virtual clock make of *requests*, with kv by its weight."""
    model = load_profile(PROFILE).at(None).engine
    settings = {"least_loaded": None} | {
        f"kv, weight {weight:g}": KvSettings(overlap_weight=weight) for weight in WEIGHTS
    }
    rows = {}
    for name, one in settings.items():
        rows[name] = Fleet(model, requests, workers=workers, settings=one).run()
        print(f"{name}: {json.dumps(rows[name])}", flush=True)
    return {"workers": workers, **described(requests), "fleets": rows}


def deployed(requests: Sequence[Request]) -> dict[str, object]:
    """Return what a deployment of each strategy makes of *requests*, and kv's TTFT as a share."""
    found = {}
    for name in STRATEGIES:
        found[name] = measured(name, requests)
        print(f"{name}: {json.dumps(found[name])}", flush=True)
    kv, idlest = found["kv"], found["least_loaded"]
    ratios = {key: round(kv[key] / idlest[key], 3) for key in kv if key.startswith("ttft")}
    return {"workers": WORKERS, **described(requests), **found, "kv_over_least_loaded": ratios}


def described(requests: Sequence[Request]) -> Mapping[str, float]:
    """Return the figures of a load itself."""
    return {
        "requests": len(requests),
        "mean_isl": round(statistics.mean(one.isl for one in requests)),
        "mean_osl": round(statistics.mean(one.osl for one in requests)),
        "sharable": round(sharable(requests), 3),
    }


def decision_us(*, workers: int = 16, isl: int = 10_000, blocks: int = 50_000) -> dict[str, float]:
    """Return the CPU time of one decision, of which naming the prompt's blocks is a part.

    Each worker has *blocks* cached and eight requests in hand, and half of each prompt is there.
    """
    rng = Random(1)
    router = KvRouter(KvSettings(), rng)
    records = [
        InstanceRecord(namespace="n", component="c", endpoint="e", instance_id=n, subject=str(n))
        for n in range(workers)
    ]
    prompts = [[rng.randrange(100_000) for _ in range(isl)] for _ in range(100)]
    for worker in range(workers):
        known = [block for prompt in prompts[worker::2] for block in block_hashes(prompt, 16)[:312]]
        known += [rng.getrandbits(64) for _ in range(blocks - len(known))]
        news = KvNews(instance_id=worker, epoch=1, number=1, block_size=16,
                      events=[Cleared(), Stored(known)], restated=True)  # fmt: skip
        router.take(news)
    held = [router.place(records, rng.choice(prompts)) for _ in range(8 * workers)]
    times, names = [], []
    for prompt in prompts:
        began = time.thread_time()
        placement = router.place(records, prompt)
        placement.started()
        placement.end()
        times.append(time.thread_time() - began)
        began = time.thread_time()
        block_hashes(prompt, 16)
        names.append(time.thread_time() - began)
    for one in held:
        one.end()
    return {
        "workers": workers,
        "isl": isl,
        "decision_us": round(statistics.median(times) * 1e6, 1),
        "of_which_names_us": round(statistics.median(names) * 1e6, 1),
    }


def decisions() -> list[dict[str, float]]:
    """Return what decisions take for short and for long prompts."""
    return [decision_us(isl=isl) for isl in (1000, 10_000)]


def recording(path: Path, *, seconds: float, speed: float) -> dict[str, object]:
    """Return what fleets make of the beginning of a recording."""
    excerpt = recorded(path, seconds=seconds, speed=speed)
    what = f"first {seconds:g} s of {path.name}, {speed:g} times as fast"
    return {"what": what, **simulated(excerpt, workers=RECORDED_WORKERS)}


def main() -> None:
    """Measure the parts asked for, and write them into results/kv_router.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trace", type=Path, help="a recording with hash ids")
    parser.add_argument("--seconds", type=float, default=300.0, help="of the recording")
    parser.add_argument("--speed", type=float, default=2.0, help="of the recording")
    parser.add_argument("--deployed", action="store_true", help="real processes, and only them")
    parser.add_argument("--out", type=Path, default=RESULTS / "kv_router.json")
    given = parser.parse_args()
    figures: dict[str, object] = {}
    if given.deployed:
        figures["deployed"] = deployed(conversations(count=120, seconds=60.0, osl=64))
    elif given.trace is not None:
        figures["recorded"] = recording(given.trace, seconds=given.seconds, speed=given.speed)
    else:
        figures["decision"] = decisions()
        figures["conversations"] = simulated(
            conversations(count=240, seconds=60.0), workers=WORKERS
        )
    before = json.loads(given.out.read_text()) if given.out.exists() else {}
    write(given.out, before | provenance() | figures)


if __name__ == "__main__":
    main()
