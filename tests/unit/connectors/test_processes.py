"""Children are seen by their names, whatever they are doing."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from connectors.circus.processes import INSTANCE, children

EXECS = 200
# $0 is this text again: each round replaces the program, as the shell before a worker does.
ROUNDS = 'if [ "$1" -gt 0 ]; then exec sh -c "$0" "$0" $(($1 - 1)); fi; exec sleep 60'


@pytest.fixture
def restless() -> Iterator[subprocess.Popen[bytes]]:
    """A child that goes from one program to the next."""
    command = ["sh", "-c", ROUNDS, ROUNDS, str(EXECS)]
    process = subprocess.Popen(command, env={**os.environ, INSTANCE: "restless"})
    yield process
    process.kill()
    process.wait()


def test_a_child_between_two_programs_is_still_there(restless):
    for _ in range(300):
        assert restless.pid in {child.pid for child in children(os.getpid())}


def test_a_child_that_ended_is_gone(restless):
    restless.kill()
    os.waitid(os.P_PID, restless.pid, os.WEXITED | os.WNOWAIT)  # still a zombie
    assert restless.pid not in {child.pid for child in children(os.getpid())}
