"""Guesses of an engine's times from the speed of its GPUs: for estimates of how long a sweep takes.

A roofline: bytes over bandwidth, operations over peak, each at the share that engines reach.
Never part of a profile.
"""

from planner.core.engine import DecodeLaw, PrefillLaw
from planner.core.profile import Parallelism
from profiler.plan.gpu import Gpu
from profiler.plan.model import ModelShape

_FLOPS_SHARE = 0.4
_BANDWIDTH_SHARE = 0.6
# Launching kernels and scheduling, whatever there is to compute; and what a request adds to it.
_STEP_SECONDS = 0.003
_REQUEST_SECONDS = 30e-6
# Reading weights from a disk, and what an engine does before and after: compile, capture, warm up.
_LOAD_BYTES_PER_SECOND = 1e9
_START_SECONDS = 45.0


def guessed_laws(
    model: ModelShape, gpu: Gpu, parallelism: Parallelism
) -> tuple[PrefillLaw, DecodeLaw]:
    """Return the laws that the GPUs' speeds would allow."""
    # Stages of a pipeline work on different steps: one step is as slow as on one stage's GPUs.
    flops = _FLOPS_SHARE * gpu.flops * parallelism.tp
    bandwidth = _BANDWIDTH_SHARE * gpu.bandwidth * parallelism.tp
    share_read = min(1.0, model.active_parameters / model.parameters)
    base = _STEP_SECONDS + model.weight_bytes * share_read / bandwidth
    attention = 2 * model.layers * model.heads * model.head_dim
    prefill = PrefillLaw(
        base_seconds=base,
        token_seconds=2 * model.active_parameters / flops,
        token_squared_seconds=attention / flops,
    )
    decode = DecodeLaw(
        base_seconds=base,
        request_seconds=_REQUEST_SECONDS,
        kv_token_seconds=model.kv_bytes_per_token / bandwidth,
    )
    return prefill, decode


def guessed_start_seconds(model: ModelShape) -> float:
    """Return how long an engine would take to start."""
    return _START_SECONDS + model.weight_bytes / _LOAD_BYTES_PER_SECOND
