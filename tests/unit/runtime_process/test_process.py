"""Processes that end well: by signals, with their parent, and fast to start."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LAUNCHER = [sys.executable, "-m", "runtime.process"]

WORKER = """
import asyncio, sys, time
from runtime.process import run_process

async def main(stop):
    print("up", flush=True)
    await stop.wait()
    print("draining", flush=True)
    {drain}
    return {code}

sys.exit(run_process(main))
"""


@pytest.fixture
def start():
    processes = []

    def start(*command):
        processes.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, bufsize=1)
        )
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def worker(start, *, drain="pass", code="None"):
    process = start(sys.executable, "-c", WORKER.format(drain=drain, code=code))
    assert process.stdout.readline() == "up\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(("code", "expected"), [("None", 0), ("3", 3)])
def test_a_signal_lets_it_return(start, number, code, expected):
    process = worker(start, code=code)
    process.send_signal(number)
    assert process.wait(timeout=10) == expected


@pytest.mark.parametrize(
    ("first", "second"), [(signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)]
)
def test_a_second_signal_exits_at_once(start, first, second):
    process = worker(start, drain="await asyncio.sleep(60)")
    process.send_signal(first)
    assert process.stdout.readline() == "draining\n"
    process.send_signal(second)
    assert process.wait(timeout=10) == 128 + second


def is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def gone_within(pid, seconds):
    until = time.monotonic() + seconds
    while not is_gone(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return is_gone(pid)


SUPERVISOR = """
import os, subprocess, sys, time
launcher = [sys.executable, "-m", "runtime.process", "--parent", str(os.getpid()), "--"]
child = subprocess.Popen([*launcher, "sh", "-c", "echo up; exec sleep 60"], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own help is Linux only")
def test_a_launched_program_dies_with_its_supervisor(start):
    supervisor = start(sys.executable, "-c", SUPERVISOR)
    child = int(supervisor.stdout.readline())
    assert not is_gone(child)
    supervisor.kill()
    supervisor.wait()
    assert gone_within(child, 10)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own help is Linux only")
def test_a_program_whose_supervisor_is_gone_already_does_not_start(start):
    process = start(*LAUNCHER, "--parent", "999999999", "--", "echo", "started")
    assert process.communicate(timeout=10)[0] == ""
    assert process.returncode == 1


def test_the_launcher_becomes_the_program(start):
    process = start(*LAUNCHER, "--", "sh", "-c", "echo $$; exit 7")
    assert int(process.communicate(timeout=10)[0]) == process.pid
    assert process.returncode == 7


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        pytest.param([], 2, "usage", id="nothing"),
        pytest.param(["--"], 2, "usage", id="no command"),
        pytest.param(["true"], 2, "usage", id="no dashes"),
        pytest.param(["--parent", "x", "--", "true"], 2, "usage", id="no number"),
        pytest.param(["--", "/no/such/program"], 127, "/no/such/program", id="no such program"),
    ],
)
def test_the_launcher_says_what_is_wrong(arguments, code, says):
    ended = subprocess.run(
        [*LAUNCHER, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=10
    )
    assert ended.returncode == code
    assert says in ended.stderr


@pytest.mark.parametrize("module", ["runtime", "runtime.process"])
def test_starting_costs_no_heavy_imports(module):
    code = f"import sys, {module}; print(*sys.modules)"
    listed = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(listed.stdout.split())
    assert not loaded & {"asyncio", "msgspec", "nats", "aetcd", "uvloop", "socket", "logging"}


def test_every_public_name_can_be_loaded():
    import runtime

    assert all(getattr(runtime, name).__name__ == name for name in runtime.__all__)
    with pytest.raises(AttributeError, match="nothing_here"):
        _ = runtime.nothing_here
