"""Names of KV blocks that every process finds for itself: hashes of the tokens in and before them.

A worker tells which blocks its engine has, and a router looks for those of a prompt; neither has to
be told the other's tokens.
"""

import struct
from collections.abc import Sequence
from hashlib import blake2b

_TOKEN_BYTES = 4
_HASH_BYTES = 8
_hash = struct.Struct("<Q")


def block_hashes(token_ids: Sequence[int], block_size: int) -> tuple[int, ...]:
    """Return the names of the full blocks that *token_ids* begin with.

    Token ids have to fit into 32 bits: struct.error for others.
    """
    count = len(token_ids) // block_size
    tokens = struct.pack(f"<{len(token_ids)}I", *token_ids)
    width = block_size * _TOKEN_BYTES
    parent, names = _hash.pack(block_size), []
    for start in range(0, count * width, width):
        parent = blake2b(parent + tokens[start : start + width], digest_size=_HASH_BYTES).digest()
        names.append(parent)
    return struct.unpack(f"<{count}Q", b"".join(names))


def next_block_hash(parent: int | None, token_ids: Sequence[int]) -> int:
    """Return the name of the full block of *token_ids* behind *parent*; None: at the beginning.

    Blocks of other sizes never have the same name: the size stands where a first block has its
    parent.
    """
    size = len(token_ids)
    tokens = struct.pack(f"<Q{size}I", size if parent is None else parent, *token_ids)
    name: int = _hash.unpack(blake2b(tokens, digest_size=_HASH_BYTES).digest())[0]
    return name
