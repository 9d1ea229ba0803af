"""The model card of a model folder, as a worker registers it."""

import hashlib
import json
from pathlib import Path

from runtime.errors import InvalidRequest
from runtime.protocol import ModelCard


def read_card(folder: Path, *, name: str, context_length: int | None = None) -> ModelCard:
    """Return the card of the model in *folder* (config.json, tokenizer.json) under *name*.

    *context_length* lowers the model's own. Raises InvalidRequest naming the file that is missing
    or malformed.
    """
    config = _read_json(folder / "config.json")
    generation = folder / "generation_config.json"
    settings = config | (_read_json(generation) if generation.exists() else {})
    longest = config.get("max_position_embeddings")
    if not isinstance(longest, int):
        raise InvalidRequest(f"{folder / 'config.json'}: max_position_embeddings is missing")
    return ModelCard(
        name=name,
        path=str(folder.resolve()),
        context_length=min(longest, context_length or longest),
        eos_token_ids=_ids(settings.get("eos_token_id")),
        checksum=_checksum(folder / "tokenizer.json"),
    )


def _ids(value: object) -> tuple[int, ...]:
    """Return one id, several or none: model folders have all three."""
    values = value if isinstance(value, list) else [value]
    return tuple(each for each in values if isinstance(each, int))


def _read_json(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{path}: {error}") from error
    if not isinstance(value, dict):
        raise InvalidRequest(f"{path}: expected an object")
    return value


def _checksum(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InvalidRequest(f"{path}: {error}") from error
