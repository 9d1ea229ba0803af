"""Makes a tiny model that any vLLM can load: ``python -m workers.vllm.make_model DIR``.

Weights are random, the tokenizer is the bundled one; nothing is downloaded. What it generates
depends on the tokens before, so that wrong KV blocks show in its output: the weights are drawn
wide, and the output layer is not the embedding, or it would repeat its last token whatever its
cache.
"""

import argparse
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

import workers.simulated

_TOKENIZER = Path(workers.simulated.__file__).parent / "model"
_SPREAD = 0.25  # ten times what models start their training with
_HEAD = 32

_Tensor = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How large the model is; *heads* query heads share half as many key and value heads."""

    hidden: int = 128
    layers: int = 2
    heads: int = 4
    context_length: int = 4096
    seed: int = 0

    @property
    def kv_heads(self) -> int:
        """Key and value heads of a layer."""
        return max(1, self.heads // 2)


def write(folder: Path, shape: Shape | None = None) -> None:
    """Write the model of *shape* and its tokenizer into *folder*."""
    shape = shape or Shape()
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(_TOKENIZER / name, folder / name)
    bundled = json.loads((_TOKENIZER / "config.json").read_bytes())
    special = {"eos_token_id": bundled["eos_token_id"], "pad_token_id": bundled["pad_token_id"]}
    vocabulary = -(-bundled["vocab_size"] // 64) * 64
    _write_json(folder / "generation_config.json", special)
    _write_json(folder / "config.json", _config(shape, vocabulary) | special)
    tensors = dict(_tensors(shape, vocabulary))
    (folder / "model.safetensors").write_bytes(_safetensors(tensors))


def _config(shape: Shape, vocabulary: int) -> dict[str, object]:
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "dtype": "bfloat16",
        "vocab_size": vocabulary,
        "hidden_size": shape.hidden,
        "intermediate_size": 2 * shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": _HEAD,
        "max_position_embeddings": shape.context_length,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 10_000.0,
        "attention_bias": False,
        "tie_word_embeddings": False,
    }


def _tensors(shape: Shape, vocabulary: int) -> Iterator[tuple[str, _Tensor]]:
    rng = np.random.default_rng(shape.seed)

    def drawn(rows: int, columns: int) -> _Tensor:
        return rng.normal(0.0, _SPREAD, (rows, columns)).astype(np.float32)

    yield "model.embed_tokens.weight", drawn(vocabulary, shape.hidden)
    for layer in range(shape.layers):
        for name, (rows, columns) in _projections(shape).items():
            yield f"model.layers.{layer}.{name}.weight", drawn(rows, columns)
        for name, size in _norms(shape).items():
            yield f"model.layers.{layer}.{name}.weight", np.ones(size, np.float32)
    yield "model.norm.weight", np.ones(shape.hidden, np.float32)
    yield "lm_head.weight", drawn(vocabulary, shape.hidden)


def _projections(shape: Shape) -> dict[str, tuple[int, int]]:
    queries, keys, inner = shape.heads * _HEAD, shape.kv_heads * _HEAD, 2 * shape.hidden
    return {
        "self_attn.q_proj": (queries, shape.hidden),
        "self_attn.k_proj": (keys, shape.hidden),
        "self_attn.v_proj": (keys, shape.hidden),
        "self_attn.o_proj": (shape.hidden, queries),
        "mlp.gate_proj": (inner, shape.hidden),
        "mlp.up_proj": (inner, shape.hidden),
        "mlp.down_proj": (shape.hidden, inner),
    }


def _norms(shape: Shape) -> dict[str, int]:
    return {
        "input_layernorm": shape.hidden,
        "post_attention_layernorm": shape.hidden,
        "self_attn.q_norm": _HEAD,
        "self_attn.k_norm": _HEAD,
    }


def _safetensors(tensors: dict[str, _Tensor]) -> bytes:
    """Return the file: the length of a JSON header, the header, the tensors in bfloat16."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    parts: list[bytes] = []
    end = 0
    for name, tensor in tensors.items():
        parts.append(_bfloat16(tensor))
        start, end = end, end + len(parts[-1])
        shape = list(tensor.shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    encoded = msgspec.json.encode(header)
    encoded += b" " * (-len(encoded) % 8)
    return b"".join([len(encoded).to_bytes(8, "little"), encoded, *parts])


def _bfloat16(tensor: _Tensor) -> bytes:
    """Return *tensor* cut to its upper 16 bits, little-endian."""
    return (tensor.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()


def _write_json(path: Path, value: dict[str, object]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m workers.vllm.make_model", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    default = Shape()
    parser.add_argument("--hidden", type=int, default=default.hidden, help="a multiple of 32")
    parser.add_argument("--layers", type=int, default=default.layers)
    parser.add_argument("--heads", type=int, default=default.heads)
    parser.add_argument("--context-length", type=int, default=default.context_length)
    parser.add_argument("--seed", type=int, default=default.seed)
    given = vars(parser.parse_args())
    write(given.pop("folder"), Shape(**given))


if __name__ == "__main__":
    _main()
