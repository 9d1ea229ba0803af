"""Bytes that one weight takes, from how a config says that it is stored and quantized."""

from collections.abc import Iterator, Mapping

_DTYPES = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0, "float8_e4m3fn": 1.0}
_METHODS = {"fp8": 1.0, "fbgemm_fp8": 1.0, "mxfp4": 0.53, "nvfp4": 0.56}
_USUAL = 2.0


def activation_bytes(config: Mapping[str, object]) -> float:
    """Return the bytes of one element of activations, KV cache and embeddings."""
    name = str(config.get("dtype") or config.get("torch_dtype") or "").removeprefix("torch.")
    return _DTYPES.get(name, _USUAL)


def weight_bytes(config: Mapping[str, object]) -> float:
    """Return the bytes of one weight of the layers, as quantized where that is said."""
    scheme = config.get("quantization_config")
    if not isinstance(scheme, Mapping):
        return activation_bytes(config)
    bits = min(_bits(scheme), default=None)
    return activation_bytes(config) if bits is None else bits / 8


def _bits(scheme: Mapping[str, object]) -> Iterator[float]:
    """Yield every number of bits that a quantization scheme names for weights."""
    names = (scheme.get("quant_method"), scheme.get("quant_algo"))
    for name in (str(name).lower() for name in names if name):
        if name in _METHODS:
            yield 8 * _METHODS[name]
    for key, bits in (("load_in_8bit", 8.0), ("load_in_4bit", 4.0)):
        if scheme.get(key) is True:
            yield bits
    for holder in (scheme, *_group_weights(scheme)):
        given = holder.get("bits") or holder.get("num_bits")
        if isinstance(given, int | float):
            yield float(given)


def _group_weights(scheme: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    """Yield what groups of layers say of their weights (compressed-tensors)."""
    groups = scheme.get("config_groups")
    for group in groups.values() if isinstance(groups, Mapping) else ():
        weights = group.get("weights") if isinstance(group, Mapping) else None
        if isinstance(weights, Mapping):
            yield weights
