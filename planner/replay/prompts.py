"""Request bodies whose prompts have an exact number of tokens."""

import json

import numpy as np

_LOWEST, _HIGHEST = 100, 255
# Ids that every vocabulary has and that are special in none. Three digits each, so that a prompt
# is a lookup and one copy: 5 us for 3,000 tokens, where formatting numbers takes 300 us.
_WRITTEN = np.frombuffer(
    b"".join(b"%d," % i for i in range(_LOWEST, _HIGHEST + 1)), dtype=np.uint8
).reshape(-1, 4)


def body(isl: int, osl: int, *, model: str, rng: np.random.Generator) -> bytes:
    """Return a streaming completion of exactly *isl* random tokens in and *osl* out, as JSON."""
    tokens = _WRITTEN[rng.integers(len(_WRITTEN), size=isl)].tobytes()[:-1]
    settings = {
        "model": model,
        "max_tokens": osl,
        "min_tokens": osl,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    return json.dumps(settings)[:-1].encode() + b', "prompt": [' + tokens + b"]}"
