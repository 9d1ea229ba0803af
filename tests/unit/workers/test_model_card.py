"""The model card that a worker registers, from model folders of all kinds."""

import json

import pytest

from runtime.errors import InvalidRequest
from workers.card import read_card


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")

    def write(config, generation=None):
        (tmp_path / "config.json").write_text(json.dumps(config))
        if generation is not None:
            (tmp_path / "generation_config.json").write_text(json.dumps(generation))
        return tmp_path

    return write


EOS = [
    pytest.param({"eos_token_id": 2}, None, (2,), id="one"),
    pytest.param({"eos_token_id": 2}, {"eos_token_id": [2, 5]}, (2, 5), id="generation config"),
    pytest.param({"eos_token_id": None}, None, (), id="null"),
    pytest.param({}, {}, (), id="none"),
]


@pytest.mark.parametrize(("config", "generation", "expected"), EOS)
def test_eos_tokens(folder, config, generation, expected):
    card = read_card(folder({"max_position_embeddings": 4096, **config}, generation), name="m")
    assert card.eos_token_ids == expected


@pytest.mark.parametrize(("asked", "length"), [(None, 4096), (100, 100), (9999, 4096)])
def test_the_context_length_can_only_be_lowered(folder, asked, length):
    path = folder({"max_position_embeddings": 4096})
    card = read_card(path, name="m", context_length=asked)
    assert (card.name, card.path, card.context_length) == ("m", str(path), length)


def test_the_checksum_is_of_the_tokenizer(folder):
    path = folder({"max_position_embeddings": 4096})
    before = read_card(path, name="m").checksum
    (path / "tokenizer.json").write_text('{"other": 1}')
    assert read_card(path, name="m").checksum != before


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json"])
def test_what_is_missing_is_named(folder, missing):
    path = folder({"max_position_embeddings": 4096})
    (path / missing).unlink()
    with pytest.raises(InvalidRequest, match=missing):
        read_card(path, name="m")


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_malformed_config_is_named(folder, text):
    path = folder({})
    (path / "config.json").write_text(text)
    with pytest.raises(InvalidRequest, match=r"config\.json"):
        read_card(path, name="m")
