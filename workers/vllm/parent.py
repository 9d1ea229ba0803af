"""For the processes that vLLM starts: they end with the worker, however that ends."""

import os
import threading
import time

_LOOK_SECONDS = 0.5


def end_with_parent() -> None:
    """Have this process end soon after the one that started it.

    vLLM's processes outlive a killed worker otherwise, and hold its memory and its port. The
    kernel could do it at once, but only for as long as the thread that started them lives.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="end with parent", daemon=True).start()
