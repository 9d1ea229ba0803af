"""Which parallelisms fit, with the arithmetic kept so that it can be shown."""

from collections.abc import Iterator
from dataclasses import dataclass

from planner.core.profile import Parallelism
from profiler.plan.gpu import Gpu
from profiler.plan.model import ModelShape

USABLE_SHARE = 0.9
"""Of a GPU's memory: what engines take unless told otherwise."""
# The driver's context, workspaces of kernels and captured graphs.
_OVERHEAD_BYTES = 1.5e9
_OVERHEAD_SHARE = 0.1
_ACTIVATION_BYTES = 2
# A layer's input, output, residual and normalised copy are alive at once.
_HIDDEN_COPIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What one GPU of an engine holds, in bytes; what is left is for the KV cache."""

    usable: float
    weights: float
    activations: float
    overhead: float
    kv_bytes_per_token: float

    @property
    def kv(self) -> float:
        """Bytes left for the KV cache; negative where even the rest does not fit."""
        return self.usable - self.weights - self.activations - self.overhead

    @property
    def kv_capacity_tokens(self) -> int:
        """Tokens that the engine's KV cache would hold."""
        return max(0, int(self.kv / self.kv_bytes_per_token))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a parallelism fits: *problems* is empty where it does."""

    parallelism: Parallelism
    memory: Memory
    problems: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether it can be tried."""
        return not self.problems


def verdict(
    model: ModelShape,
    gpu: Gpu,
    parallelism: Parallelism,
    *,
    context_tokens: int,
    max_num_batched_tokens: int,
) -> Verdict:
    """Return whether *model* fits onto *gpu* at *parallelism* with one request's context."""
    memory = memory_of(model, gpu, parallelism, max_num_batched_tokens=max_num_batched_tokens)
    problems = [*_indivisible(model, parallelism)]
    if memory.kv <= 0:
        problems.append(
            f"{(memory.usable - memory.kv) / 1e9:.1f} GB of weights, activations and overhead "
            f"per GPU, {memory.usable / 1e9:.1f} GB usable"
        )
    elif memory.kv_capacity_tokens < context_tokens:
        problems.append(
            f"a KV cache of {memory.kv_capacity_tokens} tokens does not hold one request "
            f"of {context_tokens}"
        )
    return Verdict(parallelism=parallelism, memory=memory, problems=tuple(problems))


def memory_of(
    model: ModelShape, gpu: Gpu, parallelism: Parallelism, *, max_num_batched_tokens: int
) -> Memory:
    """Return what one GPU would hold."""
    tp, pp = parallelism.tp, parallelism.pp
    # Fewer KV heads than GPUs are kept by several of them, a latent one by all.
    kept = 1.0 if model.latent_kv else max(1, model.kv_heads / tp) / model.kv_heads
    widest = max(model.hidden, model.intermediate / tp * 2)
    activations = max_num_batched_tokens * _ACTIVATION_BYTES
    return Memory(
        usable=USABLE_SHARE * gpu.memory_bytes,
        weights=model.weight_bytes / parallelism.gpus,
        activations=activations * (_HIDDEN_COPIES * model.hidden + widest),
        overhead=min(_OVERHEAD_BYTES, _OVERHEAD_SHARE * gpu.memory_bytes),
        kv_bytes_per_token=model.kv_bytes_per_token * kept / pp,
    )


def _indivisible(model: ModelShape, parallelism: Parallelism) -> Iterator[str]:
    tp, pp = parallelism.tp, parallelism.pp
    if model.heads % tp:
        yield f"{model.heads} attention heads do not divide by {tp}"
    if not model.latent_kv and model.kv_heads % tp and tp % model.kv_heads:
        yield f"{model.kv_heads} KV heads and {tp} GPUs: neither divides the other"
    if model.intermediate % tp:
        yield f"a feed-forward width of {model.intermediate} does not divide by {tp}"
    if pp > model.layers:
        yield f"{model.layers} layers are fewer than {pp} stages"
