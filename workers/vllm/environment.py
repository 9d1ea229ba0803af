"""What a process with vLLM in it needs in its environment, set before vLLM is imported.

A variable that is set already stays as it is.
"""

import os
import random
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from planner.core.role import Role
from workers.control import LOOPBACK
from workers.options import WorkerOptions
from workers.vllm import parent, progress_thread

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_SIDE_PORTS = 12_000
_REST_MS = "5"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What vLLM computes on: its distribution decides, as there is one for each."""

    name: str
    """``cuda`` or ``cpu``."""
    distribution: str
    version: str

    @property
    def is_cpu(self) -> bool:
        """Whether there is no GPU to it."""
        return self.name == "cpu"

    def __str__(self) -> str:
        """Return the form that people read."""
        return f"{self.distribution} {self.version} on {self.name}"


def variables(
    options: WorkerOptions, device: Device, *, ranks: int, cores: list[int], side_port: int
) -> dict[str, str]:
    """Return the variables of a worker of *ranks* ranks on *cores*, by name."""
    chosen = {
        # Without this, every engine would be one process more, which polls.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_HOST_IP": options.host,
    }
    if device.is_cpu:
        chosen |= _cpu(ranks, cores)
    if options.role is not Role.AGGREGATED:
        chosen["VLLM_NIXL_SIDE_CHANNEL_HOST"] = options.host
        chosen["VLLM_NIXL_SIDE_CHANNEL_PORT"] = str(side_port)
        if device.is_cpu:
            chosen[progress_thread.VARIABLE] = _REST_MS
    if options.host in LOOPBACK:
        chosen["GLOO_SOCKET_IFNAME"] = "lo"
        if device.is_cpu:
            chosen |= {"UCX_TLS": "tcp,self,sm", "UCX_NET_DEVICES": "lo"}
    return chosen


def prepare(options: WorkerOptions, device: Device, *, ranks: int) -> None:
    """Set the variables of this process, for itself and the processes it starts."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    port = side_port(options.host, random.Random())  # noqa: S311 - not a secret
    wanted = variables(options, device, ranks=ranks, cores=cores, side_port=port)
    _set_missing(wanted)
    os.environ[parent.VARIABLE] = str(os.getpid())


def side_port(host: str, rng: random.Random) -> int:
    """Return a free port for NIXL's handshakes that no outgoing connection can take.

    The engine opens it a minute later, and hangs if it is gone by then.
    """
    first = _first_ephemeral()
    while True:
        port = rng.randrange(first - _SIDE_PORTS, first)
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port


def _first_ephemeral() -> int:
    """Return the lowest port of outgoing connections, or what it usually is."""
    try:
        first = int(_EPHEMERAL.read_text(encoding="ascii").split()[0])
    except OSError:
        return 32_768
    return max(first, 2 * _SIDE_PORTS)


def _set_missing(wanted: Mapping[str, str]) -> None:
    for name, value in wanted.items():
        os.environ.setdefault(name, value)


def _cpu(ranks: int, cores: list[int]) -> dict[str, str]:
    """Return what a CPU needs: no compiler at the first request, and cores for each rank."""
    chosen = {"TORCH_COMPILE_DISABLE": "1", "OMP_NUM_THREADS": str(max(1, len(cores) // 2))}
    if ranks > 1:
        size = max(1, len(cores) // ranks)
        shares = [cores[rank * size : (rank + 1) * size] or cores[-1:] for rank in range(ranks)]
        chosen["VLLM_CPU_OMP_THREADS_BIND"] = "|".join(
            ",".join(str(core) for core in share) for share in shares
        )
    return chosen
