"""The examples do what their READMEs say."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.e2e


def run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=EXAMPLES.parent, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def blocks(readme: Path) -> list[str]:
    return readme.read_text().split("```\n")[1::2]


@pytest.mark.parametrize("name", ["hello_world", "disaggregated"])
def test_prints_what_its_readme_shows(name: str) -> None:
    command, expected = blocks(EXAMPLES / name / "README.md")[:2]
    words = [part.strip('"') for part in command.split(' "')[1:]]
    script = command.split()[1]
    assert run(script, *(word.strip().strip('"') for word in words)) == expected


def test_several_nodes_take_turns() -> None:
    lines = run("examples/multi_node/run.py", "Hello", "World").splitlines()
    assert sorted(lines) == sorted(
        ["hello (by node2)", "world (by node2)", "hello (by node3)", "world (by node3)"]
    )


@pytest.fixture
def two_nodes() -> Iterator[list[str]]:
    """Two network namespaces joined by a cable, as node1 and node2."""
    names = [f"planner-{os.getpid()}-node{n}" for n in (1, 2)]
    addresses = ["10.77.0.1", "10.77.0.2"]
    if shutil.which("ip") is None or not _made(f"ip netns add {names[0]}"):
        pytest.skip("network namespaces need root and iproute2")
    try:
        _must(f"ip netns add {names[1]}")
        _must(f"ip link add pl0 netns {names[0]} type veth peer name pl1 netns {names[1]}")
        for n, (name, address) in enumerate(zip(names, addresses, strict=True)):
            _must(f"ip -n {name} addr add {address}/24 dev pl{n}")
            _must(f"ip -n {name} link set pl{n} up")
            _must(f"ip -n {name} link set lo up")
        yield [*addresses, names[0].removesuffix("1") + "{n}"]
    finally:
        for name in names:
            _made(f"ip netns delete {name}")


def test_nodes_in_network_namespaces_of_their_own(two_nodes: list[str]) -> None:
    first, second, name = two_nodes
    done = subprocess.run(
        [
            "ip",
            "netns",
            "exec",
            name.format(n=1),
            sys.executable,
            "examples/multi_node/run.py",
            "Hello",
            "--nodes",
            first,
            second,
            "--enter",
            f"ip netns exec {name}",
        ],
        cwd=EXAMPLES.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["hello (by node2)", "hello (by node2)"]


def _made(command: str) -> bool:
    return subprocess.run(command.split(), capture_output=True).returncode == 0


def _must(command: str) -> None:
    assert _made(command), command
