"""Where an engine can be measured: its corners, and the grid of asks between them."""

from dataclasses import dataclass

from profiler.ports import EngineFacts
from profiler.record import DecodeAsk, PrefillAsk
from profiler.target import Target

_SHORTEST = 128
# Requests longer than these are measured only where the load's mean makes them likely.
_USUAL_LONGEST = 16_384
_TIMES_THE_MEAN = 4
# Tokens that a request of a point generates: room that its prompt has to leave.
_OUTPUT_TOKENS = 16
# A full KV cache preempts as soon as contexts grow, so a point stays a little below.
_KV_SHARE = 0.95
_PROMPT_LEVELS = 16
_CONTEXT_LEVELS = 5
_LOADS = (0.03, 0.06, 0.12, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Lengths in tokens and loads in requests between which an engine is measured."""

    shortest: int
    longest: int
    usual_isl: int
    """Prompts of the load that the profile is made for."""
    usual_context: int
    max_num_seqs: int
    kv_tokens: int

    @classmethod
    def of(cls, facts: EngineFacts, target: Target) -> "Scope":
        """Return what the engine allows and *target* makes worth measuring."""
        load = target.workload
        wanted = max(_USUAL_LONGEST, round(_TIMES_THE_MEAN * (load.isl + load.osl)))
        kv_tokens = max(1, int(_KV_SHARE * facts.kv_capacity_tokens))
        longest = max(4, min(wanted, facts.context_length, kv_tokens) - _OUTPUT_TOKENS)
        shortest = min(_SHORTEST, max(1, longest // 4))
        return cls(
            shortest=shortest,
            longest=longest,
            usual_isl=min(longest, max(shortest, round(load.isl))),
            usual_context=min(longest, max(shortest, round(load.context_tokens))),
            max_num_seqs=facts.max_num_seqs,
            kv_tokens=kv_tokens,
        )

    def most(self, context: int) -> int:
        """Return how many requests of *context* tokens fit."""
        return max(1, min(self.max_num_seqs, self.kv_tokens // context))

    @property
    def prefill_corners(self) -> tuple[PrefillAsk, ...]:
        """The prompts that come first: shortest, longest, and the usual one between them."""
        middle = round((self.shortest * self.longest) ** 0.5)
        usual = self.usual_isl
        if min(usual / self.shortest, self.longest / usual) < 2:
            usual = middle
        return tuple(PrefillAsk(isl=isl) for isl in (self.shortest, self.longest, usual))

    @property
    def decode_corners(self) -> tuple[DecodeAsk, ...]:
        """The loads that come first: alone, most requests, most KV with the fewest, and both."""
        both = min(self.longest, max(self.shortest, self.kv_tokens // self.max_num_seqs))
        middle = round((self.shortest * self.longest) ** 0.5)
        found = [
            DecodeAsk(concurrency=1, context=middle),
            DecodeAsk(concurrency=self.most(self.shortest), context=self.shortest),
            DecodeAsk(concurrency=self.most(self.longest), context=self.longest),
        ]
        if 2 * self.shortest < both < self.longest / 2:
            found.append(DecodeAsk(concurrency=self.most(both), context=both))
        return tuple(dict.fromkeys(found))

    def prefill_asks(self) -> tuple[PrefillAsk, ...]:
        """Return every prompt that may be chosen, in steps of equal ratio and of equal length."""
        steps = range(_PROMPT_LEVELS + 1)
        span = self.longest - self.shortest
        ratio = self.longest / self.shortest
        lengths = {round(self.shortest * ratio ** (step / _PROMPT_LEVELS)) for step in steps}
        lengths |= {round(self.shortest + span * step / _PROMPT_LEVELS) for step in steps}
        return tuple(PrefillAsk(isl=isl) for isl in sorted({*lengths, self.usual_isl}))

    def decode_asks(self) -> tuple[DecodeAsk, ...]:
        """Return every load that may be chosen: shares of what fits at contexts of equal ratio."""
        ratio = self.longest / self.shortest
        contexts = {
            round(self.shortest * ratio ** (step / (_CONTEXT_LEVELS - 1)))
            for step in range(_CONTEXT_LEVELS)
        }
        found = {
            DecodeAsk(concurrency=max(1, round(load * self.most(context))), context=context)
            for context in sorted({*contexts, self.usual_context})
            for load in _LOADS
        }
        return tuple(sorted(found, key=lambda ask: (ask.context, ask.concurrency)))
