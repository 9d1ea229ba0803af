"""What bounds the load of a vLLM engine before it is started: its arguments, else its defaults."""

from collections.abc import Sequence

from profiler.plan.duration import Settings
from profiler.plan.gpu import Gpu

# vLLM's own: GPUs of at least this memory get the larger batch.
_LARGE_BYTES = 75e9
_SEQS_LARGE, _SEQS, _SEQS_CPU = 1024, 256, 128
_BATCHED, _BATCHED_CPU = 8192, 2048
_UNITS = {"k": 1000, "K": 1024, "m": 10**6, "M": 2**20}


def vllm_settings(arguments: Sequence[str], gpu: Gpu, *, has_gpu: bool) -> Settings:
    """Return what vLLM started with *arguments* on *gpu* would hold at most.

    For estimates: an argument that cannot be read is vLLM's to refuse, and its default is taken.
    """
    large = gpu.memory_bytes >= _LARGE_BYTES and not gpu.name.startswith("a100")
    seqs = (_SEQS_LARGE if large else _SEQS) if has_gpu else _SEQS_CPU
    batched = _BATCHED if has_gpu else _BATCHED_CPU
    return Settings(
        max_num_seqs=_argument(arguments, "max-num-seqs") or seqs,
        max_num_batched_tokens=_argument(arguments, "max-num-batched-tokens") or batched,
        context_length=_argument(arguments, "max-model-len"),
    )


def _argument(arguments: Sequence[str], name: str) -> int | None:
    """Return the number that the last ``--name N`` or ``--name=N`` gives; None without."""
    found = None
    for index, argument in enumerate(arguments):
        flag, is_joined, value = argument.partition("=")
        if flag.replace("_", "-") == f"--{name}":
            found = value if is_joined else next(iter(arguments[index + 1 :]), "")
    return None if found is None else _number(found)


def _number(text: str) -> int | None:
    digits, unit = (text[:-1], _UNITS[text[-1]]) if text[-1:] in _UNITS else (text, 1)
    return int(digits) * unit if digits.isdecimal() else None
