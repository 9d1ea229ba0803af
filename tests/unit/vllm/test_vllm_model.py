"""The tiny model: complete, the same every time, and in the format that it says it is in."""

import itertools
import json
import math

import numpy as np
import pytest

from workers.card import read_card
from workers.vllm.make_model import Shape, write


@pytest.fixture
def model(tmp_path):
    write(tmp_path / "a")
    return tmp_path / "a"


def tensors(folder):
    body = (folder / "model.safetensors").read_bytes()
    size = int.from_bytes(body[:8], "little")
    header = json.loads(body[8 : 8 + size])
    assert size % 8 == 0
    return header, body[8 + size :]


def test_a_worker_reads_its_card(model):
    card = read_card(model, name="tiny")
    assert (card.context_length, len(card.eos_token_ids)) == (4096, 1)


def test_every_tensor_is_where_the_header_says(model):
    header, body = tensors(model)
    assert header.pop("__metadata__") == {"format": "pt"}
    spans = sorted(tensor["data_offsets"] for tensor in header.values())
    assert spans[0][0] == 0
    assert spans[-1][1] == len(body)
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(spans))
    for tensor in header.values():
        start, end = tensor["data_offsets"]
        assert end - start == 2 * math.prod(tensor["shape"])
    config = json.loads((model / "config.json").read_bytes())
    assert header["lm_head.weight"]["shape"] == [config["vocab_size"], config["hidden_size"]]
    assert len(header) == 3 + config["num_hidden_layers"] * 11


def test_weights_are_drawn_wide_and_cut_to_bfloat16(model):
    header, body = tensors(model)
    start, end = header["lm_head.weight"]["data_offsets"]
    upper = np.frombuffer(body[start:end], "<u2").astype("<u4") << 16
    assert 0.24 < upper.view("<f4").std() < 0.26
    start, end = header["model.norm.weight"]["data_offsets"]
    assert body[start:end] == b"\x80\x3f" * 128  # ones


def test_the_same_seed_makes_the_same_model_and_another_one_another(model, tmp_path):
    write(tmp_path / "b")
    write(tmp_path / "c", Shape(seed=1))
    one, same, other = (
        (tmp_path / name / "model.safetensors").read_bytes() for name in ("a", "b", "c")
    )
    assert one == same != other
