"""`planner doctor` beside a deployment that runs, and one that lost a part."""

import json
import os
import signal
from typing import Any

import pytest

pytestmark = pytest.mark.e2e


async def examined(machine) -> tuple[int, dict[str, Any]]:
    code, out, _ = await machine.run("doctor", "-o", "json")
    return code, {finding["name"]: finding for finding in json.loads(out)["findings"]}


async def test_the_parts_of_a_deployment_are_told_one_by_one(machine) -> None:
    async with machine.serving("--planner", "off"):
        code, found = await examined(machine)
        assert code == 0
        assert found["its workers"]["found"] == "2 registered, all answer"
        for name in ("deployment", "its etcd", "its nats", "its frontend"):
            assert found[name]["state"] == "ok"

        pids = machine.processes()
        stopped = [pids["nats"], pids["decode-1"]]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            code, found = await examined(machine)
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)

    assert code == 1
    assert found["its nats"]["state"] == "failed"
    assert found["its workers"]["found"] == "decode-1 do not answer"
    assert found["its workers"]["remedy"]
