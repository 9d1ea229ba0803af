"""vLLM: which distribution, what it computes on, and what it computes with. It is not imported."""

import platform
from collections.abc import Iterator
from pathlib import Path

from planner.cli.doctoring.finding import Finding, absent, failed, ok, told
from planner.cli.doctoring.packages import Versions, version
from planner.errors import ConfigError
from workers.vllm.check import Machine, find_device
from workers.vllm.environment import Device

_AMX = "amx_tile"
_VECTORS = ("avx512f", "avx2", "asimd")
_DRIVER = Path("/proc/driver/nvidia/gpus")
_CPU_INFO = Path("/proc/cpuinfo")


def engines(
    here: Machine, versions: Versions = version, *, cpu_info: Path = _CPU_INFO
) -> Iterator[Finding]:
    """Yield what is found of vLLM and what it needs; one line where there is no vLLM."""
    try:
        device = find_device(here)
    except ConfigError as error:
        kind = told("vllm", error, needed=False)
        yield kind if here.distributions else absent("vllm", kind.found, kind.remedy)
        return
    yield ok("vllm", str(device))
    yield _torch(device, versions)
    yield _transfer(here, versions)
    yield _processor(cpu_info) if device.is_cpu else _gpus(here)


def _torch(device: Device, versions: Versions) -> Finding:
    found, vision = versions("torch"), versions("torchvision")
    if found is None:
        return failed("torch", "not installed", "make setup-vllm-cpu", needed=False)
    if device.is_cpu and "+cpu" not in found:
        return failed("torch", f"{found} is no CPU build", "make setup-vllm-cpu", needed=False)
    if device.is_cpu and vision is not None and "+cpu" not in vision:
        return failed(
            "torch",
            f"torchvision {vision} is of another build than torch {found}: models do not load",
            "pip uninstall -y torchvision torchaudio torchcodec",
            needed=False,
        )
    return ok("torch", found)


def _transfer(here: Machine, versions: Versions) -> Finding:
    if not here.has_nixl:
        return absent(
            "nixl", "not installed: no prefill and decode workers", "pip install 'nixl>=1.5,<2'"
        )
    return ok("nixl", versions("nixl") or "of unknown version")


def _processor(info: Path) -> Finding:
    """Return what the processor has for matrices; a cold start without AMX is unlike one with."""
    try:
        text = info.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ok("processor", platform.machine())
    lines = [line.partition(":") for line in text.splitlines()]
    words = {name.strip(): value.strip() for name, _, value in lines}
    flags = set(words.get("flags", words.get("Features", "")).split())
    vectors = next((name for name in _VECTORS if name in flags), "no wide vectors")
    amx = "AMX" if _AMX in flags else "no AMX"
    return ok("processor", f"{words.get('model name', platform.machine())}, {vectors}, {amx}")


def _gpus(here: Machine, driver: Path = _DRIVER) -> Finding:
    if here.gpus == 0:
        return failed(
            "gpus", "none here", "look at nvidia-smi and CUDA_VISIBLE_DEVICES", needed=False
        )
    names = sorted({_model(path) for path in driver.glob("*/information")} - {""})
    return ok("gpus", f"{here.gpus} to be used{': ' if names else ''}{', '.join(names)}")


def _model(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    found = [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    return found[0] if found else ""
