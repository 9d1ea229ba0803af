"""The shape of a model: weights and KV cache, from the config.json of a Hugging Face folder."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from planner.core.document import Document
from planner.errors import ConfigError
from profiler.plan.bytes_per_weight import activation_bytes, weight_bytes

_MULTIMODAL = "text_config"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """What of a model decides how it fits onto GPUs. Lengths in elements, sizes in bytes."""

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    intermediate: int
    experts: int
    """0 for a dense model."""
    parameters: int
    active_parameters: int
    """Read for one token: all of a dense model, the routed share of a mixture of experts."""
    weight_bytes: int
    kv_bytes_per_token: int
    """Of the whole model, over all of its layers."""
    context_length: int
    latent_kv: bool = False
    """One compressed KV head that every GPU of a TP group keeps wholly."""

    @classmethod
    def from_config(
        cls, config: Mapping[str, object], *, name: str, measured_weight_bytes: int | None = None
    ) -> "ModelShape":
        """Return the shape that *config* describes; raises ConfigError naming what is missing.

        *measured_weight_bytes* is what the weights' files take, None where there are none.
        """
        inner = config.get(_MULTIMODAL)
        source = f"{name} config.json"
        merged = {**config, **inner} if isinstance(inner, Mapping) else config
        tied = merged.get("tie_word_embeddings") is True
        sizes = _Sizes(Document(merged, source=source, error=ConfigError), tied=tied)
        each = weight_bytes(merged)
        computed = round(sizes.body * each + sizes.embeddings * activation_bytes(merged))
        return cls(
            name=name,
            layers=sizes.layers,
            hidden=sizes.hidden,
            heads=sizes.heads,
            kv_heads=sizes.kv_heads,
            head_dim=sizes.head_dim,
            vocab=sizes.vocab,
            intermediate=sizes.intermediate,
            experts=sizes.experts,
            parameters=sizes.body + sizes.embeddings,
            active_parameters=sizes.active + sizes.embeddings,
            weight_bytes=measured_weight_bytes or computed,
            kv_bytes_per_token=round(sizes.kv_elements * activation_bytes(merged)),
            context_length=sizes.context_length,
            latent_kv=sizes.latent > 0,
        )


def read_model(folder: Path) -> ModelShape:
    """Return the shape of the model in *folder*; raises ConfigError without a config.json."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}", hint="give the folder that holds the model's config.json"
        ) from None
    except ValueError as error:
        raise ConfigError(f"{path}: is not JSON ({error})", hint="download it again") from None
    if not isinstance(config, dict):
        raise ConfigError(f"{path}: is not a JSON object", hint="download it again")
    files = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    return ModelShape.from_config(config, name=folder.name, measured_weight_bytes=files or None)


class _Sizes:
    """The figures of a config under the names that the families of models give them."""

    def __init__(self, document: Document, *, tied: bool) -> None:
        self._document = document
        self.layers = document.integer("num_hidden_layers", least=1)
        self.hidden = document.integer("hidden_size", least=1)
        self.heads = document.integer("num_attention_heads", least=1)
        self.vocab = document.integer("vocab_size", least=1)
        self.kv_heads = self._first(self.heads, "num_key_value_heads")
        self.head_dim = self._first(self.hidden // self.heads, "head_dim")
        self.intermediate = self._first(4 * self.hidden, "intermediate_size", "ffn_dim")
        self.experts = self._first(
            0, "num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"
        )
        self.latent = self._first(0, "kv_lora_rank")
        self.context_length = self._first(4096, "max_position_embeddings", "n_positions")
        self.embeddings = self.vocab * self.hidden * (1 if tied else 2)
        dense_layers = self._first(0, "first_k_dense_replace") if self.experts else self.layers
        dense = dense_layers * self._feed_forward(self.intermediate)
        attention = self.layers * self._attention
        self.body = attention + dense + (self.layers - dense_layers) * self._mixture(self.experts)
        self.active = attention + dense + (self.layers - dense_layers) * self._mixture(self._routed)

    def _first(self, default: int, *keys: str) -> int:
        found = [self._document.optional_number(key) for key in keys]
        return next((int(value) for value in found if value is not None), default)

    @property
    def kv_elements(self) -> int:
        """Elements of the KV cache for one token."""
        if self.latent:
            return self.layers * (self.latent + self._first(0, "qk_rope_head_dim"))
        return 2 * self.layers * self.kv_heads * self.head_dim

    @property
    def _attention(self) -> int:
        """Weights of one layer's attention: queries and output, keys and values."""
        if not self.latent:
            return 2 * self.hidden * self.head_dim * (self.heads + self.kv_heads)
        rope = self._first(0, "qk_rope_head_dim")
        key, value = self._first(self.head_dim, "qk_nope_head_dim"), self._first(0, "v_head_dim")
        rank = self._first(0, "q_lora_rank")
        query = self.heads * (key + rope)
        queries = rank * (self.hidden + query) if rank else self.hidden * query
        down = self.hidden * (self.latent + rope)
        up = self.latent * self.heads * (key + value)
        return queries + down + up + self.heads * value * self.hidden

    def _feed_forward(self, width: int) -> int:
        """Weights of a gated feed-forward layer: gate, up and down."""
        return 3 * self.hidden * width

    @property
    def _routed(self) -> int:
        return min(self.experts, self._first(2, "num_experts_per_tok", "moe_top_k"))

    def _mixture(self, experts: int) -> int:
        """Weights of *experts* of a layer, with its router and what every token goes through."""
        width = self._first(self.intermediate, "moe_intermediate_size")
        shared = self._first(0, "shared_expert_intermediate_size")
        shared += self._first(0, "n_shared_experts") * width
        router = self.hidden * self.experts
        return experts * self._feed_forward(width) + self._feed_forward(shared) + router
