"""What single tokens are called where each is shown by itself, as with their probabilities."""

import re

from tokenizers import Tokenizer

from runtime.frontend.detokenizer import Vocabulary

_SINGLE_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_SPACE = "▁"


class TokenNames:
    """The bytes of each token; *vocabulary* is given for tokenizers of the byte-level kind."""

    def __init__(
        self, tokenizer: Tokenizer, special: frozenset[int], vocabulary: Vocabulary | None
    ) -> None:
        self._tokenizer = tokenizer
        self._special = special
        self._vocabulary = vocabulary

    def is_shown(self, token_id: int) -> bool:
        """Return whether the token is a part of the text."""
        return token_id not in self._special

    def bytes_of(self, token_id: int) -> bytes:
        """Return what the token adds to a text, or the name of a special one."""
        token = self._tokenizer.id_to_token(token_id) or ""
        if not self.is_shown(token_id):
            return token.encode()
        if self._vocabulary is not None:
            return self._vocabulary.piece(token_id)
        byte = _SINGLE_BYTE.fullmatch(token)
        return token.replace(_SPACE, " ").encode() if byte is None else bytes.fromhex(byte[1])
