"""Prompts of an exact number of tokens, as token ids that every vocabulary has."""

import json

import numpy as np

_LOWEST, _HIGHEST = 100, 255


class Prompts:
    """Draws the prompts for *model*.

    A fresh prompt shares no block with any other. A standing one is the beginning of a text that
    its number names, so that an engine which has seen it longer or shorter finds it in its cache.
    """

    def __init__(self, model: str, *, seed: int) -> None:
        self._model = model
        self._seed = seed
        self._rng = np.random.default_rng(seed)

    def fresh(self, isl: int, *, osl: int) -> bytes:
        """Return the request for *osl* tokens after a new prompt of *isl* tokens."""
        return self._body(self._rng, isl, osl)

    def standing(self, number: int, isl: int, *, osl: int) -> bytes:
        """Return the request for *osl* tokens after the first *isl* of text *number*."""
        return self._body(np.random.default_rng((self._seed, 1, number)), isl, osl)

    def _body(self, rng: np.random.Generator, isl: int, osl: int) -> bytes:
        tokens = rng.integers(_LOWEST, _HIGHEST, size=isl, endpoint=True)
        request = {
            "model": self._model,
            "prompt": tokens.tolist(),
            "max_tokens": osl,
            "min_tokens": osl,
            "ignore_eos": True,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        return json.dumps(request, separators=(",", ":")).encode()
