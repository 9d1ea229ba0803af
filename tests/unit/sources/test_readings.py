"""Pages of three servers in planner's own terms; only those of vLLM are recorded ones."""

from pathlib import Path

import pytest

from planner.sources.engines import ENGINES, recognised
from planner.sources.engines.names import EngineKind
from planner.sources.exposition import Page, parse
from planner.sources.readings import counted, gauges

PAGES = Path(__file__).parent / "pages"


def text(name):
    return (PAGES / f"{name}.txt").read_text()


def page(name):
    names = recognised(text(name))
    return parse(text(name), names.prefix, histograms=names.histograms), names


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("vllm_idle", EngineKind.VLLM),
        ("vllm_busy", EngineKind.VLLM),
        ("sglang", EngineKind.SGLANG),
        ("tensorrt_llm", EngineKind.TENSORRT_LLM),
    ],
)
def test_a_page_says_whose_it_is(name, kind):
    assert recognised(text(name)).kind is kind
    assert ENGINES[kind].kind is kind


@pytest.mark.parametrize("other", ["", "# TYPE planner_worker_x gauge\n", "[]", "up 1\n#vllm:\n"])
def test_other_pages_are_nobodys(other):
    assert recognised(other) is None


def test_vllm_when_idle():
    told = counted(*page("vllm_idle"))
    assert (told.entered, told.finished, told.failed) == (6, 5, 0)  # one client left
    assert (told.prompts.count, told.prompts.total) == (5, 8 + 100 + 300 + 300 + 900)
    assert (told.outputs.count, told.outputs.total) == (5, 4 + 16 + 32 + 32 + 64)
    assert told.ttft.count == 6
    assert told.ttft.share_up_to(0.25) is not None
    assert told.itl.count == 5
    assert told.itl.share_up_to(0.025) is not None
    assert told.itl.share_up_to(0.02) is None
    assert (told.preemptions, told.cached_tokens) == (0, 256)


def test_vllm_when_busy():
    now = gauges(*page("vllm_busy"))
    assert (now.running, now.waiting, now.inside, now.entering) == (16, 4, 20, 4)
    assert now.kv_usage == pytest.approx(0.0802, abs=1e-4)
    assert now.kv_tokens == 131072


def test_prompts_buckets_of_vllm_tell_their_squares():
    prompts = counted(*page("vllm_idle")).prompts
    squares = 8**2 + 100**2 + 2 * 300**2 + 900**2
    assert prompts.square_sum == pytest.approx(squares, rel=0.2)


def test_sglang():
    told, now = counted(*page("sglang")), gauges(*page("sglang"))
    assert (told.entered, told.finished, told.failed) == (60, 60, None)
    assert (told.prompts.mean, told.outputs.mean) == (600, 200)
    assert told.prompts.share_up_to(500) == 0.5
    assert (told.ttft.count, told.itl.count) == (51, 11940)
    assert (told.preemptions, told.cached_tokens) == (3, 4500)
    # Priorities are parts of the total, not beside it.
    assert (now.running, now.waiting, now.entering) == (7, 3, 10)
    assert (now.kv_usage, now.kv_tokens) == (0.28, 161721)


def test_sglang_without_its_histograms_of_lengths():
    whole, names = page("sglang")
    kept = {s: v for s, v in whole.samples.items() if "tokens_histogram" not in s}
    told = counted(Page(samples=kept, declared=frozenset()), names)
    assert (told.prompts.mean, told.outputs.mean) == (600, 200)
    assert told.prompts.below == ()


def test_tensorrt_llm():
    told, now = counted(*page("tensorrt_llm")), gauges(*page("tensorrt_llm"))
    assert (told.entered, told.finished, told.failed) == (42, 40, None)
    assert (told.prompts.mean, told.outputs.mean) == (1000, 200)
    assert told.ttft.share_up_to(0.1) == 35 / 42
    assert (told.preemptions, told.cached_tokens) == (None, 1200)
    assert (now.running, now.waiting, now.entering) == (6, 1, 7)
    assert (now.kv_usage, now.kv_tokens) == (0.4, 160_000)


@pytest.mark.parametrize("kind", EngineKind)
def test_what_is_not_told_is_unknown(kind):
    names = ENGINES[kind]
    # Declared, and without samples: what counts it may be switched off.
    declared = frozenset(name.removesuffix("_total") for name in names.counters)
    told = counted(Page(samples={}, declared=declared), names)
    assert {getattr(told, field) for field in told.__slots__} == {None}
    now = gauges(Page(samples={}, declared=declared), names)
    assert {getattr(now, field) for field in now.__slots__} == {None}
    assert now.inside is None
