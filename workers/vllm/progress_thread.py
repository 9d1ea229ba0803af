"""How long NIXL's progress thread rests between events, in the processes of a worker's engine.

As its Python interface makes agents, NIXL 1.5.1 waits for an event no longer than 0 ms: the thread
takes a whole core for each rank, which on a CPU the model needs. An event ends a longer wait at
once.
"""

import logging
import os
import sys
from typing import Any

VARIABLE = "PLANNER_NIXL_REST_MS"
"""In the environment of a worker's processes: the longest wait; NIXL's own if it is not there."""

log = logging.getLogger(__name__)


def rest_between_events() -> None:
    """Let the agents that this process makes from now on rest as `VARIABLE` says."""
    rest = os.environ.get(VARIABLE)
    if rest is None:
        return
    from vllm.distributed.nixl_utils import NixlWrapper  # sets what NIXL is to find when it loads

    _make_rest(sys.modules[NixlWrapper.__module__], milliseconds=int(rest))


def _make_rest(api: Any, *, milliseconds: int) -> None:
    bindings = getattr(api, "nixlBind", None)
    if bindings is None:
        log.warning("NIXL's progress thread does not rest: another NIXL than 1.5")
        return
    made = bindings.nixlAgent

    def resting(name: str, config: Any) -> Any:
        config.pthrDelay = milliseconds * 1000
        return made(name, config)

    bindings.nixlAgent = resting
