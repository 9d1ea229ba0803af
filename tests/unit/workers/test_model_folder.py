"""The bundled model folder: every byte encodes, lengths are predictable, the maker made it."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

import workers.simulated
from workers.simulated import make_model

FOLDER = Path(workers.simulated.__file__).parent / "model"
TOKENIZER = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))


@given(st.text())
def test_any_text_survives(text):
    assert TOKENIZER.decode(TOKENIZER.encode(text).ids, skip_special_tokens=False) == text


def test_every_byte_is_a_token():
    for byte in range(256):
        text = bytes([byte]).decode("latin-1")
        assert TOKENIZER.decode(TOKENIZER.encode(text).ids) == text
    assert len(TOKENIZER.encode("\N{GRINNING FACE}").ids) == 4  # one token a byte of UTF-8


@pytest.mark.parametrize("repeat", [1, 3])
def test_so_many_listed_words_are_so_many_tokens(repeat):
    words = make_model.words() * repeat
    assert len(TOKENIZER.encode(" " + " ".join(words)).ids) == len(words)


def test_special_tokens_are_tokens_of_their_own():
    config = json.loads((FOLDER / "config.json").read_text())
    tokenizer_config = json.loads((FOLDER / "tokenizer_config.json").read_text())
    assert TOKENIZER.token_to_id(tokenizer_config["eos_token"]) == config["eos_token_id"]
    assert TOKENIZER.token_to_id(tokenizer_config["pad_token"]) == config["pad_token_id"]
    assert TOKENIZER.get_vocab_size() == config["vocab_size"]
    tokens = TOKENIZER.encode("<|im_start|>user\n hello<|im_end|>\n").tokens
    assert [tokens[0], tokens[-2]] == ["<|im_start|>", "<|im_end|>"]


def test_the_maker_makes_the_same_folder_again(tmp_path):
    make_model.write(tmp_path)
    made = {path.name: json.loads(path.read_text()) for path in tmp_path.iterdir()}
    assert made == {path.name: json.loads(path.read_text()) for path in FOLDER.iterdir()}
