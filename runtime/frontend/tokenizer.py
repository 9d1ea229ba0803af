"""A model's folder: its tokenizer, its special tokens and its chat template."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from runtime.frontend.detokenizer import (
    ByteLevelDetokenizer,
    Detokenizer,
    Vocabulary,
    WindowDetokenizer,
    is_byte_level,
    special_ids,
)
from runtime.frontend.template import ChatTemplate, TemplateFault
from runtime.frontend.token_names import TokenNames

_LONG_TEXT = 4096  # characters, about 2 ms of encoding: longer ones are encoded in a thread


class ModelFolderError(Exception):
    """A model's folder cannot be used; the text names the file."""


class ModelTokenizer:
    """Encodes prompts and makes detokenizers for responses. Safe to use from several threads."""

    def __init__(self, tokenizer: Tokenizer, chat_template: ChatTemplate | None) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self.chat_template = chat_template
        self._tokenizer = tokenizer
        self._special = special_ids(tokenizer)
        self._vocabulary = Vocabulary(tokenizer) if is_byte_level(tokenizer) else None
        self.token_limit = max(tokenizer.get_vocab().values(), default=-1) + 1
        """Every token is below it."""
        self.names = TokenNames(tokenizer, self._special, self._vocabulary)

    async def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Return the tokens of *text*; a long one does not hold up the event loop."""
        if len(text) <= _LONG_TEXT:
            return self._encode(text, add_special_tokens)
        return await asyncio.to_thread(self._encode, text, add_special_tokens)

    def detokenizer(self) -> Detokenizer:
        """Return a detokenizer for one response."""
        if self._vocabulary is not None:
            return ByteLevelDetokenizer(self._vocabulary)
        return WindowDetokenizer(self._tokenizer, self._special)

    def _encode(self, text: str, add_special_tokens: bool) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=add_special_tokens).ids


def load_folder(path: str) -> ModelTokenizer:
    """Return the tokenizer in the folder *path*. Slow; raises ModelFolderError."""
    folder = Path(path)
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise ModelFolderError(f"{file}: no such file")
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises Exception itself
        raise ModelFolderError(f"{file}: {error}") from error
    return ModelTokenizer(tokenizer, _chat_template(folder))


def _chat_template(folder: Path) -> ChatTemplate | None:
    config = _tokenizer_config(folder)
    source = _template_source(folder, config)
    if source is None:
        return None
    try:
        return ChatTemplate(source, special_tokens=_special_tokens(config))
    except TemplateFault as error:
        raise ModelFolderError(f"{folder}: {error}") from error


def _tokenizer_config(folder: Path) -> Mapping[str, Any]:
    file = folder / "tokenizer_config.json"
    if not file.exists():
        return {}
    try:
        config = json.loads(_read(file))
    except ValueError as error:
        raise ModelFolderError(f"{file}: {error}") from error
    if not isinstance(config, dict):
        raise ModelFolderError(f"{file}: expected an object")
    return config


def _template_source(folder: Path, config: Mapping[str, Any]) -> str | None:
    file = folder / "chat_template.jinja"
    if file.is_file():
        return _read(file)
    source = config.get("chat_template")
    if isinstance(source, list):  # named templates; the unnamed one of old is called default
        named = [entry for entry in source if isinstance(entry, dict)]
        source = next((e.get("template") for e in named if e.get("name") == "default"), None)
    return source if isinstance(source, str) else None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ModelFolderError(f"{file}: {error}") from error


def _special_tokens(config: Mapping[str, Any]) -> dict[str, str]:
    """Return bos_token, eos_token and the like: text, or an object around the text."""
    tokens: dict[str, str] = {}
    for name, value in config.items():
        text = value.get("content") if isinstance(value, dict) else value
        if name.endswith("_token") and isinstance(text, str):
            tokens[name] = text
    return tokens
