"""Load of each role out of its workers' gauges, and what they computed out of their counters."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from planner.core.observation import RoleLoad, StepSums
from planner.core.role import Role
from planner.ports import Instance
from planner.sources.exposition import Page

PREFIX = "planner_worker_"
IN_FLIGHT = f"{PREFIX}in_flight_requests"
_WAITING = f"{PREFIX}requests_waiting"
_WAITING_TOKENS = f"{PREFIX}waiting_prompt_tokens"
_RUNNING = f"{PREFIX}requests_running"
_KV_USED = f"{PREFIX}kv_blocks_used"
_KV_TOTAL = f"{PREFIX}kv_blocks_total"
_QUEUE_DEPTH = f"{PREFIX}prefill_queue_depth"
_STEP_SECONDS = f"{PREFIX}step_seconds_sum"
_STEPS = f"{PREFIX}step_seconds_count"
_PREFILL_STEPS = f"{PREFIX}prefill_steps_total"
_DECODED = f"{PREFIX}decoded_tokens_total"
_KV_TOKENS = f"{PREFIX}kv_tokens_read_total"
_PREFILLED = f"{PREFIX}prefilled_tokens_total"
_PREFILLED_SQUARED = f"{PREFIX}prefilled_squared_tokens_total"
COUNTERS = frozenset(
    {_STEP_SECONDS, _STEPS, _PREFILL_STEPS, _DECODED, _KV_TOKENS, _PREFILLED, _PREFILLED_SQUARED}
)
"""Every counter that the sums over steps are made of."""
ALWAYS = COUNTERS | {
    IN_FLIGHT, _WAITING, _WAITING_TOKENS, _RUNNING, _KV_USED, _KV_TOTAL,
}  # fmt: skip
"""Every sample that any worker tells its load by."""
NAMES = ALWAYS | {_QUEUE_DEPTH}
"""Those, and what only workers with a prefill queue tell."""


def loads(
    pages: Mapping[Instance, Page], *, grown: Mapping[Instance, Page]
) -> dict[Role, RoleLoad]:
    """Return the load of every role of which something is known.

    *grown* holds the increments of each worker's counters since it was last read.
    """
    found = {}
    for role in {instance.role for instance in pages}:
        members = [instance for instance in pages if instance.role is role]
        read = [pages[one] for one in members]
        steps = _steps(read, [grown[one] for one in members if one in grown])
        found[role] = replace(_load(read), steps=steps)
    depth = _highest(pages.values(), _QUEUE_DEPTH)
    if depth is not None:
        found[Role.PREFILL] = _queued(found.get(Role.PREFILL, RoleLoad()), round(depth))
    return found


def _load(pages: Collection[Page]) -> RoleLoad:
    return RoleLoad(
        waiting=_sum(pages, _WAITING),
        waiting_tokens=_sum(pages, _WAITING_TOKENS),
        running=_sum(pages, _RUNNING),
        kv_usage=_kv_usage(pages),
    )


def _steps(pages: Collection[Page], grown: Collection[Page]) -> StepSums | None:
    """Return the increments added up; None when a worker does not tell, or all are new."""
    told = all(page.total(name) is not None for page in pages for name in COUNTERS)
    if not told or not grown:
        return None
    sums = {name: sum(page.total(name) or 0.0 for page in grown) for name in COUNTERS}
    return StepSums(
        seconds=sums[_STEP_SECONDS],
        steps=round(sums[_STEPS]),
        prefill_steps=round(sums[_PREFILL_STEPS]),
        decoded=round(sums[_DECODED]),
        kv_tokens=round(sums[_KV_TOKENS]),
        prefilled=round(sums[_PREFILLED]),
        prefilled_squared=round(sums[_PREFILLED_SQUARED]),
    )


def _queued(load: RoleLoad, depth: int) -> RoleLoad:
    """Return prefill's *load* with the shared queue in place of what its engines hold.

    The depth counts what prefill workers have taken and not yet delivered, so the requests that
    they run come off. The tokens in the queue are known to nobody.
    """
    return replace(load, waiting=max(0, depth - (load.running or 0)), waiting_tokens=None)


def _sum(pages: Collection[Page], name: str) -> int | None:
    known = [value for page in pages if (value := page.total(name)) is not None]
    return round(sum(known)) if known else None


def _highest(pages: Collection[Page], name: str) -> float | None:
    # Every worker reports the same shared queue, each at a slightly different moment.
    return max((v for page in pages if (v := page.total(name)) is not None), default=None)


def _kv_usage(pages: Collection[Page]) -> float | None:
    shares = [
        used / blocks
        for page in pages
        if (used := page.total(_KV_USED)) is not None and (blocks := page.total(_KV_TOTAL))
    ]
    return sum(shares) / len(shares) if shares else None
