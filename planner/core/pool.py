"""The pool of engines that prefill: which prompts wait, how long, and who shares their batch.

Prompts wait in one queue for the first engine that is done. That takes all who wait, up to the
token budget of a step, and the prompt that this cuts in two goes on in the engine's next step.
Batches of up to K prompts at exponential intervals, the K-fold of the usual M/M/c, keep a closed
form; the variability of the prefill times then scales the waits, as usual.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, exp

from planner.core.engine import EngineModel
from planner.core.prompts import Prompts
from planner.core.queueing import all_busy, batch_queue_ratio

# Each makes batches and step times agree better, always from below.
_ROUNDS = 5
_NEGLIGIBLE = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillQueue:
    """What happens to a prompt before its own time: a share waits, exponentially long.

    *others* are what the rest of the batch may add, ascending: the seconds, the shares up to
    there weighed by how much likelier a long enough wait is after them, and the share beyond.
    """

    share: float
    mean_seconds: float
    others_seconds: tuple[float, ...]
    weights: tuple[float, ...]
    beyond: tuple[float, ...]

    def late_share(self, slack_seconds: float) -> float:
        """Return the share of prompts for which waiting and the others take longer than that."""
        if slack_seconds < 0:
            return 1.0
        index = bisect_right(self.others_seconds, slack_seconds) - 1
        left = slack_seconds - self.others_seconds[index]
        late = self.weights[index] * exp(-left / self.mean_seconds) + self.beyond[index]
        return self.share * min(1.0, late)


def prefill_queue(
    engine: EngineModel, prompts: Prompts, *, isl: float, rate_rps: float, replicas: int
) -> PrefillQueue | None:
    """Return the queue before *replicas* engines; None when they cannot do the work at all."""
    budget, work = engine.limits.max_num_batched_tokens, prompts.work_seconds
    most = max(1.0, budget / isl)
    base = engine.prefill.base_seconds * max(1.0, isl / budget)
    if rate_rps * (base / most + work) >= replicas:
        return None
    batch, ratio = 1.0, 0.0
    for _ in range(_ROUNDS):
        step = base + work * batch
        ratio = batch_queue_ratio(rate_rps * step / replicas, most, least=ratio)
        share = all_busy(replicas, rate_rps * step, ratio=ratio)
        full = 1 - ratio**most
        if not full:
            return None
        batch = min(most, 1 / (1 - share * (1 - (1 - ratio) / full)))
    taken = share * ratio * replicas / (rate_rps * step)
    queued = taken / (1 - share + taken)
    squares = 1 + queued * (_mean_square(ratio, most) - 1)
    variance = max(0.0, squares - batch**2) + batch * prompts.spread
    variability = (1 + variance * (work / step) ** 2) / 2
    mean_seconds = variability * step / (replicas * full)
    others = sorted(_others(ratio, most, work_seconds=work, base_seconds=base))
    return _queue(share, mean_seconds, others)


def _mean_square(ratio: float, most: float) -> float:
    """Return the mean square of how many of a queue that falls off by *ratio* fit into a batch."""
    left, total = 1.0, 0.0
    for count in range(ceil(most)):
        total += left * (2 * count + 1)
        left *= ratio
        if left < _NEGLIGIBLE:
            break
    return total


def _queue(share: float, mean_seconds: float, others: list[tuple[float, float]]) -> PrefillQueue:
    weights, beyond, weight, left, before = [], [], 0.0, 1.0, 0.0
    for seconds, part in others:
        weight = weight * exp(-(seconds - before) / mean_seconds) + part
        left, before = max(0.0, left - part), seconds
        weights.append(weight)
        beyond.append(left)
    return PrefillQueue(
        share=share,
        mean_seconds=mean_seconds,
        others_seconds=tuple(seconds for seconds, _ in others),
        weights=tuple(weights),
        beyond=tuple(beyond),
    )


def _others(
    ratio: float, most: float, *, work_seconds: float, base_seconds: float
) -> Iterator[tuple[float, float]]:
    """Yield (seconds, share) of what others add to the batch of a prompt that waits.

    Those before it in the batch and those behind it both fall off by *ratio*. Where the budget is
    not a whole number of prompts, the last of a full batch is cut and pays another step.
    """
    whole = int(most)
    is_cut = most > whole
    total = 1 - ratio ** (whole + is_cut)
    stop, found = 1 - ratio, 0.0
    part = stop * stop / total
    uncut = (1 - ratio**whole) / total
    for count in range(ceil(most - 1)):
        if uncut - found < _NEGLIGIBLE:
            break
        yield count * work_seconds, (count + 1) * part
        found += (count + 1) * part
        part *= ratio
    yield (most - 1) * work_seconds, max(0.0, uncut - found)
    if is_cut:
        left = 1 - uncut
        before = base_seconds + whole * work_seconds
        room = 2 * most - whole - 1
        for count in range(ceil(room)):
            if left < _NEGLIGIBLE:
                break
            yield before + count * work_seconds, left * stop
            left *= ratio
        yield before + room * work_seconds, left
