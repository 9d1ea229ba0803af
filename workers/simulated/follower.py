"""The simulated engine's words: it follows a passage, so that its output reads like text.

The next token depends on the prompt, the sampling, the position and the two tokens before it, and
on nothing else: a request that moves to another worker goes on with the same words.
"""

import zlib
from array import array
from collections import defaultdict
from pathlib import Path

from tokenizers import Tokenizer

from runtime.protocol import GenerateRequest
from workers.simulated.sequence import Sequence

PASSAGE = Path(__file__).parent / "passage.txt"
SENTENCES_BEFORE_END = 6
"""One sentence in so many is the last."""


class Follower:
    """Chooses among the tokens that follow the same two tokens somewhere in a passage."""

    def __init__(
        self, passage: list[int], *, openings: list[int], sentence_ends: set[int], eos: int | None
    ) -> None:
        self.eos = frozenset(() if eos is None else (eos,))
        self._eos = eos
        self._openings = openings
        self._sentence_ends = sentence_ends
        self._after_one: dict[int, list[int]] = defaultdict(list)
        self._after_two: dict[tuple[int, int], list[int]] = defaultdict(list)
        for before, last, token in zip([-1, *passage], passage, passage[1:], strict=False):
            self._after_one[last].append(token)
            self._after_two[before, last].append(token)

    @classmethod
    def of_model(cls, folder: Path, *, eos: int | None) -> "Follower":
        """Return a follower that speaks the tokens of the model in *folder* (tokenizer.json)."""
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        text = PASSAGE.read_text(encoding="utf-8")
        passage = tokenizer.encode(text, add_special_tokens=False).ids
        paragraphs = tokenizer.encode_batch(text.split("\n\n"), add_special_tokens=False)
        ends = {token for token in set(passage) if tokenizer.decode([token]).endswith(".")}
        openings = [paragraph.ids[0] for paragraph in paragraphs]
        return cls(passage, openings=openings, sentence_ends=ends, eos=eos)

    def key(self, request: GenerateRequest) -> int:
        """Return what makes the text of *request* its own: the prompt, and the seed if it is hot.

        A request that was resumed has the key of the original.
        """
        prompt = request.token_ids[: len(request.token_ids) - request.resumed]
        seed = request.sampling.seed or 0 if request.sampling.temperature else -1
        return zlib.crc32(array("q", [seed, *prompt]).tobytes())

    def draw(self, sequence: Sequence) -> int:
        """Return the token that follows *sequence*."""
        produced = sequence.produced
        chance = _mix(sequence.key, produced)
        last = sequence.tokens[-1]
        barred = sequence.sampling.stop_token_ids if _is_too_short(sequence) else ()
        if produced == 0:
            return _choose(self._openings, chance, barred)
        if last in self._sentence_ends and self._may_end(sequence, chance):
            return self._eos if self._eos is not None else last
        return _choose(self._candidates(sequence, produced), chance, barred)

    def _may_end(self, sequence: Sequence, chance: int) -> bool:
        return (
            self._eos is not None
            and chance % SENTENCES_BEFORE_END == 0
            and not sequence.sampling.ignore_eos
            and not _is_too_short(sequence)
        )

    def _candidates(self, sequence: Sequence, produced: int) -> list[int]:
        last = sequence.tokens[-1]
        before = sequence.tokens[-2] if produced > 1 else -1
        return self._after_two.get((before, last)) or self._after_one.get(last) or self._openings


def _is_too_short(sequence: Sequence) -> bool:
    return sequence.produced < sequence.sampling.min_tokens


def _choose(candidates: list[int], chance: int, barred: tuple[int, ...]) -> int:
    if barred:
        candidates = [c for c in candidates if c not in barred] or candidates
    return candidates[(chance >> 8) % len(candidates)]


def _mix(key: int, index: int) -> int:
    """Return 32 well-spread bits of two numbers."""
    mixed = ((key ^ index * 0x9E3779B1) * 0x85EBCA6B) & 0xFFFFFFFF
    return ((mixed ^ mixed >> 15) * 0xC2B2AE35) & 0xFFFFFFFF
