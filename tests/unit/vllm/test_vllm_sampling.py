"""Requests as vLLM's sampling parameters."""

import pytest

from runtime.protocol import GenerateRequest, Sampling
from workers.vllm.sampling import is_usable, sampling_arguments

TRANSFER = {"do_remote_prefill": True, "remote_engine_id": "e", "remote_request_id": "r",
            "remote_host": "h", "remote_port": 1, "remote_block_ids": [[1]], "tp_size": 1,
            "a_key_of_next_year": 7}  # fmt: skip


def request(resumed=0, transfer=None, **sampling):
    return GenerateRequest(
        request_id="r", token_ids=[1], sampling=Sampling(**sampling), resumed=resumed,
        transfer=transfer,
    )  # fmt: skip


CASES = [
    pytest.param(
        request(max_tokens=5), {"max_tokens": 5, "min_tokens": 0, "ignore_eos": False}, id="least"
    ),
    pytest.param(
        request(max_tokens=9, min_tokens=4, temperature=0.0, top_p=0.5, top_k=3, seed=7,
                ignore_eos=True, stop_token_ids=(5, 6)),
        {"max_tokens": 9, "min_tokens": 4, "temperature": 0.0, "top_p": 0.5, "top_k": 3, "seed": 7,
         "ignore_eos": True, "stop_token_ids": [5, 6]},
        id="all",
    ),
    pytest.param(
        request(max_tokens=5, min_p=0.1, frequency_penalty=0.0, presence_penalty=1.0,
                repetition_penalty=1.0, logit_bias={7: -2.0}, logprobs=0, priority=3),
        {"max_tokens": 5, "min_tokens": 0, "ignore_eos": False, "min_p": 0.1,
         "frequency_penalty": 0.0, "presence_penalty": 1.0, "repetition_penalty": 1.0,
         "logit_bias": {7: -2.0}, "logprobs": 0},
        id="extras; priority goes another way",
    ),
    pytest.param(
        request(max_tokens=9, min_tokens=2, seed=7, resumed=3),
        {"max_tokens": 6, "min_tokens": 0, "seed": 10, "ignore_eos": False},
        id="resumed",
    ),
    pytest.param(
        request(max_tokens=1, transfer=TRANSFER),
        {"max_tokens": 1, "min_tokens": 0, "ignore_eos": False,
         "extra_args": {"kv_transfer_params": TRANSFER}},
        id="transfer, untouched",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "arguments"), CASES)
def test_sampling_is_said_as_vllm_wants_it(asked, arguments):
    assert sampling_arguments(asked) == arguments


@pytest.mark.parametrize("key", sorted(TRANSFER.keys() - {"a_key_of_next_year"}))
def test_a_transfer_without_an_address_is_no_use(key):
    assert is_usable(TRANSFER)
    assert not is_usable({name: value for name, value in TRANSFER.items() if name != key})
    assert not is_usable({"engine": "simulated", "tokens": 5})
