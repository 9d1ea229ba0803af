"""The stages of a worker's start-up, counted from the start of its process."""

import time

from workers.stages import Stages, process_start


def test_stages_count_from_the_start():
    times = iter([12.0, 15.5])
    stages = Stages(lambda: next(times), started=10.0)
    assert [stages.complete("process"), stages.complete("engine")] == [2.0, 5.5]
    assert stages.seconds == {"process": 2.0, "engine": 5.5}


def test_this_process_started_a_while_ago():
    assert 0 < time.monotonic() - process_start() < 24 * 3600
