"""GPUs by name: memory, and the speeds that guesses of times are made from."""

from dataclasses import dataclass, replace
from difflib import get_close_matches

from planner.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One kind of GPU, as its vendor states it; bytes, bytes per second, dense 16-bit FLOP/s."""

    name: str
    memory_bytes: float
    bandwidth: float
    flops: float


def _gpu(name: str, gigabytes: float, terabytes_per_second: float, teraflops: float) -> Gpu:
    return Gpu(
        name=name,
        memory_bytes=gigabytes * 1e9,
        bandwidth=terabytes_per_second * 1e12,
        flops=teraflops * 1e12,
    )


_KNOWN = {
    gpu.name: gpu
    for gpu in (
        _gpu("a10", 24, 0.6, 125),
        _gpu("a100-40gb", 40, 1.555, 312),
        _gpu("a100-80gb", 80, 2.039, 312),
        _gpu("b200", 180, 8.0, 2250),
        _gpu("h100", 80, 3.35, 989),
        _gpu("h200", 141, 4.8, 989),
        _gpu("l4", 24, 0.3, 121),
        _gpu("l40s", 48, 0.864, 362),
        _gpu("mi300x", 192, 5.3, 1307),
        _gpu("rtx4090", 24, 1.008, 165),
        _gpu("t4", 16, 0.32, 65),
        _gpu("cpu", 8, 0.02, 0.2),
    )
}
# What is guessed of a GPU that only its memory is known of: a middling one.
_UNKNOWN = _KNOWN["a100-80gb"]


def known_gpus() -> tuple[str, ...]:
    """Return the names of the GPUs whose figures are known, sorted."""
    return tuple(sorted(_KNOWN))


def find_gpu(name: str, *, memory_bytes: float | None = None) -> Gpu:
    """Return the GPU of that *name*, with *memory_bytes* instead of its own where given.

    Spelling is forgiving (``NVIDIA H200`` is h200). A name that is not known needs its memory;
    raises ConfigError without.
    """
    plain = name.strip().lower().removeprefix("nvidia").strip(" -_").replace(" ", "-")
    found = _KNOWN.get(plain) or _KNOWN.get(plain.partition("-")[0])
    if found is None and memory_bytes is None:
        close = get_close_matches(plain, _KNOWN, n=1)
        hint = f"did you mean {close[0]}?" if close else "give its memory: --gpu-memory 80GB"
        raise ConfigError(f"GPU {name!r}: not known ({', '.join(known_gpus())})", hint=hint)
    if found is None:
        found = replace(_UNKNOWN, name=plain)
    return found if memory_bytes is None else replace(found, memory_bytes=memory_bytes)
