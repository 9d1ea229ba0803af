"""The simulated engine's text: readable, its own for every prompt, the same after a migration."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as changed
from tokenizers import Tokenizer

import workers.simulated
from runtime.protocol import FinishReason, GenerateRequest, Sampling
from workers.simulated.follower import Follower
from workers.simulated.scheduler import Limits, Scheduler
from workers.simulated.sequence import Sequence

MODEL = Path(workers.simulated.__file__).parent / "model"
EOS = 2
FOLLOWER = Follower.of_model(MODEL, eos=EOS)
TOKENIZER = Tokenizer.from_file(str(MODEL / "tokenizer.json"))


def generate(request: GenerateRequest, limits: Limits | None = None):
    machine = Scheduler(limits or Limits(kv_blocks=1000), FOLLOWER.draw, eos=FOLLOWER.eos)
    machine.add(Sequence.of(request, key=FOLLOWER.key(request)))
    token_ids, reason = [], None
    while reason is None:
        for token in machine.commit(machine.schedule()):
            token_ids.append(token.token_id)
            reason = token.finish_reason
    return token_ids, reason


def request(prompt: str = "Hello", **sampling) -> GenerateRequest:
    return GenerateRequest(
        request_id="r",
        token_ids=TOKENIZER.encode(prompt).ids,
        sampling=Sampling(**{"max_tokens": 60, **sampling}),
    )


def test_it_reads_like_text():
    token_ids, _ = generate(request("What is a harbour?", max_tokens=40, ignore_eos=True))
    text = TOKENIZER.decode(token_ids)
    known = set((MODEL.parent / "passage.txt").read_text(encoding="utf-8").split())
    assert len(text.split()) > 20
    assert set(text.split()[:-1]) <= known
    assert text[0].isupper()


def test_prompts_have_texts_of_their_own():
    texts = {tuple(generate(request(f"Tell me about {n}"))[0][:20]) for n in range(20)}
    assert len(texts) > 10


def test_the_same_request_has_the_same_text():
    assert generate(request()) == generate(request())


def test_heat_and_seed_choose_other_texts():
    cold = generate(request(ignore_eos=True))[0]
    assert generate(request(ignore_eos=True, temperature=0.0, seed=5))[0] == cold
    hot = [generate(request(ignore_eos=True, temperature=1.0, seed=s))[0] for s in (1, 1, 2)]
    assert hot[0] == hot[1] != hot[2]
    assert hot[0] != cold


def test_it_ends_by_itself_now_and_then():
    endings = [generate(request(f"prompt {n}", max_tokens=600)) for n in range(30)]
    stopped = [ids for ids, reason in endings if reason is FinishReason.STOP]
    assert len(stopped) > 20
    assert all(ids[-1] == EOS and EOS not in ids[:-1] for ids in stopped)


LIMITS = [
    pytest.param({"max_tokens": 7, "ignore_eos": True}, 7, FinishReason.LENGTH, id="max_tokens"),
    pytest.param({"max_tokens": 900, "ignore_eos": True}, 900, FinishReason.LENGTH, id="no eos"),
    pytest.param({"max_tokens": 900, "min_tokens": 900}, 900, FinishReason.LENGTH, id="min_tokens"),
]


@pytest.mark.parametrize(("sampling", "length", "reason"), LIMITS)
def test_lengths_are_kept(sampling, length, reason):
    token_ids, why = generate(request(**sampling))
    assert (len(token_ids), why) == (length, reason)


def test_a_stop_token_ends_the_text_and_is_its_last():
    plain = generate(request(ignore_eos=True))[0]
    stop = plain[10]
    token_ids, reason = generate(request(ignore_eos=True, stop_token_ids=(stop,)))
    assert token_ids == plain[: plain.index(stop) + 1]
    assert reason is FinishReason.STOP


def test_a_stop_token_waits_for_min_tokens():
    plain = generate(request(ignore_eos=True))[0]
    sampling = {"ignore_eos": True, "stop_token_ids": (plain[0], plain[3]), "min_tokens": 20}
    token_ids, _ = generate(request(**sampling))
    assert not {plain[0], plain[3]} & set(token_ids[:20])
    assert len(token_ids) >= 20


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(0, 59),
    st.sampled_from(
        [{}, {"temperature": 0.7, "seed": 9}, {"ignore_eos": True}, {"min_tokens": 30}]
    ),
)
def test_resumed_text_equals_uninterrupted_text(number, cut, sampling):
    original = request(f"The number is {number}", **sampling)
    whole, reason = generate(original)
    cut = min(cut, len(whole) - 1)
    resumed = changed(original, token_ids=original.token_ids + whole[:cut], resumed=cut)
    assert generate(resumed) == (whole[cut:], reason)


def test_preemption_does_not_change_the_text():
    limits = Limits(kv_blocks=8)
    machine = Scheduler(limits, FOLLOWER.draw, eos=FOLLOWER.eos)
    requests = [changed(request("x " * 20 + n, max_tokens=60), request_id=n) for n in "abc"]
    texts = {n: [] for n in "abc"}
    for one in requests:
        machine.add(Sequence.of(one, key=FOLLOWER.key(one)))
    while not machine.is_empty:
        for token in machine.commit(machine.schedule()):
            texts[token.sequence.request_id].append(token.token_id)
    assert machine.preemptions > 0
    alone = replace(limits, kv_blocks=1000)
    assert [texts[one.request_id] for one in requests] == [generate(r, alone)[0] for r in requests]
