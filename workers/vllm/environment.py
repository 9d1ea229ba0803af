"""What a process with vLLM in it needs in its environment, set before vLLM is imported.

A variable that is set already stays as it is.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from planner.core.role import Role
from runtime.servers import free_port
from workers.options import WorkerOptions

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


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
    if options.host in _LOOPBACK:
        chosen["GLOO_SOCKET_IFNAME"] = "lo"
        if device.is_cpu:
            chosen |= {"UCX_TLS": "tcp,self,sm", "UCX_NET_DEVICES": "lo"}
    return chosen


def prepare(options: WorkerOptions, device: Device, *, ranks: int) -> None:
    """Set the variables of this process, for itself and the processes it starts."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    port = free_port()
    wanted = variables(options, device, ranks=ranks, cores=cores, side_port=port)
    _set_missing(wanted)


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
