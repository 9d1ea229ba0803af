"""The deltas joined are the whole decoding, and no delta holds half a character."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from runtime.frontend.detokenizer import (
    ByteLevelDetokenizer,
    Vocabulary,
    WindowDetokenizer,
    special_ids,
)

TEXTS = st.lists(
    st.text(max_size=8)
    | st.sampled_from(["the planner", "  ", "▁", "你好", "😀👍🏽", "é", "added text", " a", "\n\n"])
).map("".join)


def window(tokenizer):
    return WindowDetokenizer(tokenizer, special_ids(tokenizer))


def deltas(detokenizer, token_ids, sizes=(1,)):
    pieces, at, turn = [], 0, 0
    while at < len(token_ids):
        size = sizes[turn % len(sizes)]
        pieces.append(detokenizer.push(token_ids[at : at + size]))
        at, turn = at + size, turn + 1
    return [*pieces, detokenizer.flush()]


@given(token_ids=st.lists(st.integers(0, 520)), sizes=st.lists(st.integers(1, 4), min_size=1))
def test_byte_level_deltas_are_the_decoding_of_any_tokens(byte_level, token_ids, sizes):
    detokenizer = ByteLevelDetokenizer(Vocabulary(byte_level))
    assert "".join(deltas(detokenizer, token_ids, sizes)) == byte_level.decode(token_ids)


@given(text=TEXTS)
def test_byte_level_text_comes_back_whole(byte_level, text):
    token_ids = byte_level.encode(text).ids
    pieces = deltas(ByteLevelDetokenizer(Vocabulary(byte_level)), token_ids)
    assert "".join(pieces) == text
    assert "\ufffd" in text or not any("\ufffd" in piece for piece in pieces)


@given(text=TEXTS)
@pytest.mark.parametrize("special", [True, False])
def test_window_text_comes_back_whole(sentencepiece, special, text):
    assume("\ufffd" not in text)
    token_ids = sentencepiece.encode(text, add_special_tokens=special).ids
    pieces = deltas(window(sentencepiece), token_ids)
    assert "".join(pieces) == sentencepiece.decode(token_ids)
    assert not any("\ufffd" in piece for piece in pieces)


@given(token_ids=st.lists(st.integers(0, 599)))
def test_window_deltas_are_the_decoding_of_tokens_that_make_text(sentencepiece, token_ids):
    whole = sentencepiece.decode(token_ids)
    text = "".join(deltas(window(sentencepiece), token_ids))
    assert "\ufffd" in whole or text == whole


@given(token_ids=st.lists(st.integers(0, 599)))
def test_window_also_serves_byte_level_vocabularies(byte_level, token_ids):
    assume("\ufffd" not in byte_level.decode(token_ids))
    text = "".join(deltas(window(byte_level), token_ids))
    assert text == byte_level.decode(token_ids)


def test_characters_wait_for_their_last_byte(byte_level):
    detokenizer = ByteLevelDetokenizer(Vocabulary(byte_level))
    by_byte = [byte_level.token_to_id(character) for character in "ðŁĺĤ"]  # F0 9F 98 82
    assert [detokenizer.push([token_id]) for token_id in by_byte] == ["", "", "", "😂"]


def test_broken_bytes_do_not_hold_the_text_up(sentencepiece):
    detokenizer = window(sentencepiece)
    broken = sentencepiece.token_to_id("<0xFF>")
    pieces = [detokenizer.push([broken]) for _ in range(50)]
    assert len("".join(pieces)) >= 45


@pytest.mark.parametrize("token_id", [-1, 2**40])
def test_what_is_no_token_is_an_overflow(byte_level, token_id):
    with pytest.raises(OverflowError):
        ByteLevelDetokenizer(Vocabulary(byte_level)).push([token_id])
