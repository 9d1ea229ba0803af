"""Load of each role out of its workers' gauges."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from planner.core.observation import RoleLoad
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


def loads(pages: Mapping[Instance, Page]) -> dict[Role, RoleLoad]:
    """Return the load of every role of which something is known."""
    found = {
        role: _load([page for instance, page in pages.items() if instance.role is role])
        for role in {instance.role for instance in pages}
    }
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
