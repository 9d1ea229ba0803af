"""The traffic that policies are compared on, and what of it was seen before."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from planner.core.sla import Sla
from planner.traces import Trace, amplify, open_trace, sine, week, weekday

TRACES = Path(__file__).parents[3] / "shared" / "data" / "traces"
"""Where the recordings are looked for unless told; the README says where they come from."""
CONVERSATION = "azure_conv.csv"
CODE = "azure_code_first_half.csv"
MOONCAKE = "mooncake_conversation.jsonl"
TUNED = "weekday-tuned"
"""The load that shows only how far what was tuned on flatters."""
EXCERPT = "excerpt"
"""The load that needs no recording, for the short form where there is none."""

_CHAT = Sla(ttft_seconds=0.5, itl_seconds=0.05, attainment=0.99)
# The longest prompts take 9.4 s alone on an engine.
_LONG = Sla(ttft_seconds=10.0, itl_seconds=0.05, attainment=0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One kind of traffic; *seen* says in words how it took part in choosing constants."""

    name: str
    title: str
    seen: str
    file: str | None
    """The recording that it is made from; None needs none."""
    make: Callable[[Path, int], Trace]
    sla: Sla = _CHAT
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    is_long: bool = False
    """Whether a run is long enough to leave some settings out."""

    def is_there(self, folder: Path) -> bool:
        """Return whether *folder* has the recording."""
        return self.file is None or (folder / self.file).exists()


def _amplified(
    file: str, times: int, *, name: str, title: str, seen: str, sla: Sla = _CHAT
) -> Load:
    """Return the load of the recording *file* and jittered copies of it."""

    def make(folder: Path, seed: int) -> Trace:
        return amplify(open_trace(folder / file), times, rng=np.random.default_rng(seed))

    return Load(name=name, title=title, seen=seen, file=file, make=make, sla=sla)


def _built(
    build: Callable[..., Trace], *, name: str, title: str, seen: str, seeds: tuple[int, ...]
) -> Load:
    """Return the load of hours that *build* makes of Azure conversation."""

    def make(folder: Path, seed: int) -> Trace:
        return build(open_trace(folder / CONVERSATION), seed=seed)

    return Load(
        name=name, title=title, seen=seen, file=CONVERSATION, make=make, seeds=seeds, is_long=True
    )


def _excerpt(_: Path, seed: int) -> Trace:
    return weekday(open_trace("bundled:azure-conv"), seed=seed, squeeze=24.0)


def _sine(_: Path, seed: int) -> Trace:
    return sine((3000, 300), seed=seed)


LOADS = {
    load.name: load
    for load in (
        _amplified(
            CONVERSATION,
            40,
            name="conversation",
            title="Azure conversation x40, 1 h",
            seen="seed 0 tuned on; the others are the same hour, its copies moved differently",
        ),
        _amplified(
            MOONCAKE,
            10,
            name="mooncake",
            title="Mooncake conversation x10, 1 h",
            seen="watched while tuning",
            sla=_LONG,
        ),
        _amplified(
            CODE,
            20,
            name="code",
            title="Azure code (first half) x20, 0.5 h",
            seen="watched while tuning",
        ),
        _built(
            weekday,
            name="weekday",
            title="weekday in 6 h, from Azure conversation",
            seen="unseen seeds",
            seeds=(5, 6, 7, 8, 9),
        ),
        _built(
            weekday,
            name=TUNED,
            title="the same weekday, seeds tuned on",
            seen="tuned on",
            seeds=(0, 1),
        ),
        _built(
            week,
            name="week",
            title="week in 6 h, from Azure conversation",
            seen="unseen",
            seeds=(0, 1),
        ),
        Load(
            name="sine",
            title="sine, 5 to 45 req/s, period 600 s, 1 h",
            seen="unseen",
            file=None,
            make=_sine,
        ),
        Load(
            name=EXCERPT,
            title="weekday in 1 h, from the bundled five minutes of Azure conversation",
            seen="unseen",
            file=None,
            make=_excerpt,
        ),
    )
}
"""By name, in the order of the tables."""
