"""Tokens into text as they come, without ever emitting half a character.

The deltas of a response, joined, are the decoding of all its tokens at once.
"""

import codecs
from collections.abc import Sequence
from typing import Protocol

from tokenizers import Tokenizer, decoders

_REPLACEMENT = "\ufffd"
_LONGEST_CHARACTER = 4  # bytes of UTF-8, so tokens too


class Detokenizer(Protocol):
    """The text of one response."""

    def push(self, token_ids: Sequence[int]) -> str:
        """Return the text that *token_ids* complete; raises OverflowError for what is no id."""
        ...

    def flush(self) -> str:
        """Return what was held back for a character that never became complete."""
        ...


class Vocabulary:
    """The bytes of each token of a byte-level tokenizer, found on first use."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._special = special_ids(tokenizer)
        self._pieces: dict[int, bytes] = {}

    def piece(self, token_id: int) -> bytes:
        """Return the bytes of a token; special and unknown ones have none."""
        found = self._pieces.get(token_id)
        if found is None:
            found = self._pieces[token_id] = self._look_up(token_id)
        return found

    def _look_up(self, token_id: int) -> bytes:
        token = self._tokenizer.id_to_token(token_id)
        if token is None or token_id in self._special:
            return b""
        try:
            return bytes([_BYTE_OF[character] for character in token])
        except KeyError:  # added as text, not in the alphabet that stands for bytes
            return token.encode()


class ByteLevelDetokenizer:
    """For vocabularies in which each token is a run of bytes: GPT-2's and most since."""

    __slots__ = ("_decode", "_piece")

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._piece = vocabulary.piece
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode

    def push(self, token_ids: Sequence[int]) -> str:
        """Return the characters that *token_ids* complete."""
        if len(token_ids) == 1:
            return self._decode(self._piece(token_ids[0]))
        return self._decode(b"".join(map(self._piece, token_ids)))

    def flush(self) -> str:
        """Return a replacement character for bytes that are left over."""
        return self._decode(b"", True)


class WindowDetokenizer:
    """For every other vocabulary: decodes the newest tokens with those just before them.

    A token's text depends on its neighbours there (a space that is dropped at the beginning, bytes
    that are joined to characters), so each step decodes the tokens of the last delta again.
    """

    def __init__(self, tokenizer: Tokenizer, special: frozenset[int]) -> None:
        self._tokenizer = tokenizer
        self._special = special
        self._context: list[int] = []
        self._context_text = ""
        self._held: list[int] = []
        self._incomplete = 0

    def push(self, token_ids: Sequence[int]) -> str:
        """Return the characters that *token_ids* complete."""
        return "".join([self._step(token_id) for token_id in token_ids])

    def flush(self) -> str:
        """Return what is held, with replacement characters."""
        return self._emit(self._text_of_held()) if self._held else ""

    def _step(self, token_id: int) -> str:
        if token_id in self._special or self._tokenizer.id_to_token(token_id) is None:
            return ""
        self._held.append(token_id)
        text = self._text_of_held()
        if text.endswith(_REPLACEMENT):
            self._incomplete += 1
            if self._incomplete < _LONGEST_CHARACTER:
                return ""
        return self._emit(text) if text else ""

    def _text_of_held(self) -> str:
        text = self._tokenizer.decode(self._context + self._held)
        if text.startswith(self._context_text):
            return text[len(self._context_text) :]
        # A broken byte spoils the characters before it in the same run, but those are out.
        return self._tokenizer.decode(self._held)

    def _emit(self, text: str) -> str:
        self._incomplete = 0
        self._context, self._held = self._held, []
        self._context_text = self._tokenizer.decode(self._context)
        return text


def special_ids(tokenizer: Tokenizer) -> frozenset[int]:
    """Return the tokens that belong to no text."""
    added = tokenizer.get_added_tokens_decoder()
    return frozenset(token_id for token_id, token in added.items() if token.special)


def _byte_alphabet() -> dict[str, int]:
    """Return the byte that each character of the byte-level alphabet stands for.

    Printable bytes of Latin-1 stand for themselves, the other 68 follow from U+0100 in order.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    alphabet = {chr(byte): byte for byte in printable}
    return alphabet | {chr(0x100 + index): byte for index, byte in enumerate(others)}


_BYTE_OF = _byte_alphabet()


def is_byte_level(tokenizer: Tokenizer) -> bool:
    """Return whether each token of *tokenizer* is a run of bytes."""
    return isinstance(tokenizer.decoder, decoders.ByteLevel)
