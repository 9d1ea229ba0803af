"""One small request that a worker makes of its own engine before anybody else can."""

from contextlib import aclosing

from runtime.protocol import GenerateRequest, Sampling
from workers.engine import Engine

PROMPT = tuple(range(5, 21))
"""Ids that every vocabulary has. Some engines cannot take a first prompt of fewer than 8 tokens."""


async def warm_up(engine: Engine) -> None:
    """Return once *engine* has prefilled and decoded.

    The same in every role: KV computed for another engine would be held until it is fetched.
    """
    request = GenerateRequest(
        request_id="warm-up",
        token_ids=list(PROMPT),
        sampling=Sampling(max_tokens=2, ignore_eos=True),
    )
    async with aclosing(engine.generate(request)) as deltas:
        async for _ in deltas:
            pass
