"""How vLLM comes up in a worker: imported in a thread, so that metrics are there from the start."""

import gc
import multiprocessing
from collections.abc import Callable

from runtime.errors import RuntimeFault
from workers.vllm.engine import Llm
from workers.vllm.totals import Totals


class VllmLoading:
    """Imports vLLM and makes the engine of *flags*.

    *imported* is called between the two, *made* after them.
    """

    def __init__(
        self,
        flags: list[str],
        totals: Totals,
        *,
        imported: Callable[[], None],
        made: Callable[[], None] = lambda: None,
    ) -> None:
        self._flags = flags
        self._totals = totals
        self._imported = imported
        self._made = made
        self._is_stopped = False

    def load(self) -> Llm:
        """Return the engine. Raises InvalidRequest and RuntimeFault."""
        from workers.vllm import llm

        if self._is_stopped:
            raise RuntimeFault("stopped while vLLM was imported")
        self._imported()
        engine = llm.make(self._flags, self._totals.record)
        self._made()
        # What is loaded stays. A collection that looked at it all would keep tokens for 0.4 s.
        gc.collect()
        gc.freeze()
        return engine

    def stop(self) -> None:
        """Kill the processes that are being started, if any."""
        self._is_stopped = True
        for child in multiprocessing.active_children():
            child.kill()
