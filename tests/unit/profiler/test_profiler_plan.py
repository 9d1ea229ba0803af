"""What fits, how many points and how long, before anything is started."""

import json

import pytest

from planner.core.profile import Parallelism
from planner.errors import ConfigError
from profiler.effort import Effort
from profiler.plan.bytes_per_weight import weight_bytes
from profiler.plan.duration import Settings
from profiler.plan.gpu import find_gpu, known_gpus
from profiler.plan.memory import verdict
from profiler.plan.model import ModelShape, read_model
from profiler.plan.sweep_plan import Limits, candidates, plan_sweep

LLAMA_8B = {
    "num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32,
    "num_key_value_heads": 8, "vocab_size": 128_256, "intermediate_size": 14_336,
    "max_position_embeddings": 131_072, "torch_dtype": "bfloat16",
}  # fmt: skip
LLAMA_70B = LLAMA_8B | {
    "num_hidden_layers": 80, "hidden_size": 8192, "num_attention_heads": 64,
    "intermediate_size": 28_672,
}  # fmt: skip
MIXTRAL = LLAMA_8B | {
    "vocab_size": 32_000, "num_local_experts": 8, "num_experts_per_tok": 2,
    "max_position_embeddings": 32_768,
}  # fmt: skip
DEEPSEEK = {
    "num_hidden_layers": 61, "hidden_size": 7168, "num_attention_heads": 128,
    "num_key_value_heads": 128, "vocab_size": 129_280, "intermediate_size": 18_432,
    "moe_intermediate_size": 2048, "n_routed_experts": 256, "n_shared_experts": 1,
    "num_experts_per_tok": 8, "first_k_dense_replace": 3, "kv_lora_rank": 512,
    "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128, "q_lora_rank": 1536,
    "max_position_embeddings": 163_840, "quantization_config": {"quant_method": "fp8"},
}  # fmt: skip

TINY = {
    "num_hidden_layers": 2, "hidden_size": 256, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 4096, "intermediate_size": 512,
    "max_position_embeddings": 4096, "torch_dtype": "bfloat16",
}  # fmt: skip


def shape(config, name="m"):
    return ModelShape.from_config(config, name=name)


@pytest.mark.parametrize(
    ("config", "billions", "active"),
    [
        pytest.param(LLAMA_8B, 8.03, 8.03, id="dense"),
        pytest.param(LLAMA_70B, 70.6, 70.6, id="large"),
        pytest.param(MIXTRAL, 46.7, 12.9, id="experts"),
        pytest.param(DEEPSEEK, 671, 37.5, id="latent attention, shared and routed experts"),
    ],
)
def test_parameters_follow_from_the_shape(config, billions, active):
    model = shape(config)
    assert model.parameters / 1e9 == pytest.approx(billions, rel=0.01)
    assert model.active_parameters / 1e9 == pytest.approx(active, rel=0.03)


def test_kv_bytes_follow_from_heads_or_from_the_latent():
    assert shape(LLAMA_8B).kv_bytes_per_token == 32 * 8 * 128 * 2 * 2
    assert shape(DEEPSEEK).kv_bytes_per_token == 61 * (512 + 64) * 2


@pytest.mark.parametrize(
    ("config", "size"),
    [
        pytest.param({}, 2, id="16 bit unless told"),
        pytest.param({"dtype": "float32"}, 4, id="32 bit"),
        pytest.param({"quantization_config": {"quant_method": "fp8"}}, 1, id="fp8"),
        pytest.param({"quantization_config": {"quant_method": "awq", "bits": 4}}, 0.5, id="awq"),
        pytest.param(
            {"quantization_config": {"config_groups": {"g": {"weights": {"num_bits": 8}}}}},
            1,
            id="groups",
        ),
        pytest.param({"quantization_config": {"load_in_4bit": True}}, 0.5, id="4 bit"),
        pytest.param({"quantization_config": {"quant_method": "odd"}}, 2, id="not understood"),
    ],
)
def test_bytes_of_a_weight(config, size):
    assert weight_bytes(config) == size


def test_a_folder_tells_its_weights(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"text_config": LLAMA_8B}))
    (tmp_path / "model.safetensors").write_bytes(b"x" * 1000)
    model = read_model(tmp_path)
    assert model.weight_bytes == 1000
    assert model.layers == 32


@pytest.mark.parametrize("text", [None, "{", "[]", '{"hidden_size": 1}'])
def test_a_folder_without_a_usable_config_is_an_error_of_one_line(tmp_path, text):
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_model(tmp_path)
    assert "\n" not in str(caught.value)


def test_gpus_are_found_however_they_are_spelled():
    assert find_gpu("NVIDIA H200").name == "h200"
    assert find_gpu("h100-sxm5").name == "h100"
    assert find_gpu("mystery", memory_bytes=5e9).memory_bytes == 5e9
    assert "h200" in known_gpus()
    with pytest.raises(ConfigError, match="h300") as caught:
        find_gpu("h300")
    assert "did you mean" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("config", "gpu", "text", "fits"),
    [
        pytest.param(LLAMA_8B, "h200", "tp1", True, id="8B on one"),
        pytest.param(LLAMA_70B, "h100", "tp1", False, id="70B not on one"),
        pytest.param(LLAMA_70B, "h100", "tp4", True, id="70B on four"),
        pytest.param(LLAMA_8B, "h100", "tp3", False, id="heads do not divide"),
        pytest.param(LLAMA_8B, "h100", "tp16", True, id="more GPUs than KV heads"),
        pytest.param(DEEPSEEK, "h200", "tp8", True, id="671B fp8 on eight"),
    ],
)
def test_what_fits(config, gpu, text, fits):
    found = verdict(
        shape(config),
        find_gpu(gpu),
        Parallelism.parse(text),
        context_tokens=4096,
        max_num_batched_tokens=8192,
    )
    assert found.fits is fits
    assert all(found.problems)


def test_the_arithmetic_adds_up():
    found = verdict(
        shape(LLAMA_8B),
        find_gpu("h200"),
        Parallelism(tp=2),
        context_tokens=4096,
        max_num_batched_tokens=8192,
    )
    memory = found.memory
    assert memory.usable == pytest.approx(0.9 * 141e9)
    assert memory.weights + memory.activations + memory.overhead + memory.kv == memory.usable
    assert memory.kv_bytes_per_token == 131_072 / 2
    assert memory.kv_capacity_tokens == int(memory.kv // memory.kv_bytes_per_token)


def test_a_plan_never_asks_for_more_gpus_than_allowed():
    assert [str(c) for c in candidates(4)] == ["tp1", "tp2", "tp1pp2", "tp4", "tp2pp2", "tp1pp4"]
    plan = plan_sweep(shape(LLAMA_8B), find_gpu("h200"), Limits(max_gpus=4))
    assert [str(engine.parallelism) for engine in plan.engines] == ["tp1", "tp2", "tp4"]
    assert plan.points == 30
    assert plan.gpus == 4
    engines = sum(engine.seconds for engine in plan.engines)
    assert plan.seconds == pytest.approx(engines + plan.pair_seconds)
    with pytest.raises(ConfigError, match="8 GPUs, 4 are allowed"):
        plan_sweep(
            shape(LLAMA_8B),
            find_gpu("h200"),
            Limits(max_gpus=4, parallelisms=(Parallelism(tp=8),)),
        )


PAIRS = [
    pytest.param(Limits(max_gpus=2), "tp1", id="two of one GPU"),
    pytest.param(Limits(max_gpus=1), None, id="no GPU for a second"),
    pytest.param(Limits(max_gpus=4, parallelisms=(Parallelism(tp=4),)), None, id="large engines"),
    pytest.param(Limits(max_gpus=8, parallelisms=(Parallelism(tp=4),)), "tp4", id="room for two"),
    pytest.param(Limits(max_gpus=2, budget_seconds=1.0), None, id="no time"),
]


@pytest.mark.parametrize(("limits", "pair"), PAIRS)
def test_a_pair_is_planned_where_gpus_and_time_allow_one(limits, pair):
    plan = plan_sweep(shape(LLAMA_8B), find_gpu("h200"), limits)
    assert (None if plan.pair is None else str(plan.pair)) == pair
    assert (plan.pair_seconds > 0) is (pair is not None)
    assert plan.gpus <= limits.max_gpus


def test_stages_are_planned_only_where_nothing_fits_without():
    odd = shape(LLAMA_70B | {"intermediate_size": 28_673})
    plan = plan_sweep(odd, find_gpu("h100"), Limits(max_gpus=4))
    assert [str(engine.parallelism) for engine in plan.engines] == ["tp1pp4"]


def test_what_does_not_fit_at_all_is_an_error_with_the_reason():
    with pytest.raises(ConfigError, match="does not fit onto 1 h100"):
        plan_sweep(shape(LLAMA_70B), find_gpu("h100"), Limits(max_gpus=1))


@pytest.mark.parametrize("points", [7, 8, 14, 20, 29, 30, 99])
def test_points_stay_inside_their_limit(points):
    plan = plan_sweep(shape(LLAMA_8B), find_gpu("h200"), Limits(max_gpus=4, max_points=points))
    assert plan.points <= points
    assert plan.points > points - 7 or plan.points == 30
    assert len(plan.engines) + len(plan.left_out) == 3


def test_too_few_points_for_anything_are_refused():
    with pytest.raises(ConfigError, match="6 points"):
        plan_sweep(shape(LLAMA_8B), find_gpu("h200"), Limits(max_gpus=4, max_points=6))


def test_a_budget_takes_points_and_then_parallelisms():
    whole = plan_sweep(shape(LLAMA_8B), find_gpu("h200"), Limits(max_gpus=4))
    budget = whole.engines[0].seconds + whole.engines[1].seconds
    plan = plan_sweep(shape(LLAMA_8B), find_gpu("h200"), Limits(max_gpus=4, budget_seconds=budget))
    assert plan.seconds <= budget
    assert Parallelism(tp=4) in plan.left_out
    tight = plan_sweep(shape(LLAMA_8B), find_gpu("h200"), Limits(max_gpus=4, budget_seconds=1))
    assert len(tight.engines) == 1
    assert "estimate" in tight.notes[0]


def planned(settings, *, points=7, budget_seconds=None, gpu="cpu"):
    limits = Limits(max_gpus=1, max_points=points, budget_seconds=budget_seconds)
    return plan_sweep(shape(TINY), find_gpu(gpu), limits, settings=settings)


def test_7_points_of_16_requests_of_512_tokens_take_2_minutes_whatever_the_memory():
    few = Settings(max_num_seqs=16, max_num_batched_tokens=2048, context_length=512)
    assert 60 < planned(few).seconds < 120
    small = plan_sweep(
        shape(TINY),
        find_gpu("cpu", memory_bytes=1e9),
        Limits(max_gpus=1, max_points=7),
        settings=few,
    )
    assert small.seconds == pytest.approx(planned(few).seconds)


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"max_num_seqs": 128}, id="requests"),
        pytest.param({"context_length": 4096}, id="context"),
    ],
)
def test_8_times_the_requests_or_the_context_take_longer(more):
    few = {"max_num_seqs": 16, "max_num_batched_tokens": 2048, "context_length": 512}
    assert planned(Settings(**few | more)).seconds > planned(Settings(**few)).seconds


def test_a_kv_cache_that_is_known_bounds_what_is_held():
    most = Settings(max_num_seqs=128)
    less = Settings(max_num_seqs=128, kv_tokens_per_gpu=8_000)
    assert planned(less).seconds < 0.8 * planned(most).seconds


def test_a_budget_takes_3_of_10_points_of_a_small_engine():
    few = Settings(max_num_seqs=16, max_num_batched_tokens=2048, context_length=512)
    assert planned(few, points=10).points == 10
    tight = planned(few, points=10, budget_seconds=planned(few).seconds + 1)
    assert tight.points == 7
    assert not tight.notes


def test_what_a_repeat_costs_beside_measuring_is_in_the_estimate():
    def seconds(repeat_seconds):
        effort = Effort(
            first_passes=0, least_repeats=2, most_repeats=2, repeat_seconds=repeat_seconds
        )
        limits = Limits(max_gpus=1)
        return plan_sweep(shape(LLAMA_8B), find_gpu("h200"), limits, effort=effort).seconds

    # 10 points of 2 runs.
    assert seconds(15.0) - seconds(0.0) == pytest.approx(300.0)
