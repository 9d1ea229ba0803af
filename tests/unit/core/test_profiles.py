"""Profiles: bundled, read from files, and refused."""

import copy
import json

import pytest

from planner.core.fit import decode_error, fit_decode, fit_prefill, prefill_error
from planner.core.profile import Kind, Parallelism, Profile
from planner.errors import ConfigError, ProfileError
from planner.profiles import bundled_profiles, load_profile

LLAMA = "llama-3.1-8b-fp8-h200"
QWEN = "qwen3-32b-h200"

ENGINES = [
    pytest.param(entry, id=f"{name} {entry.parallelism}")
    for name in bundled_profiles()
    for entry in load_profile(name).engines
]


def test_two_profiles_are_bundled_with_their_source_and_licence():
    assert bundled_profiles() == (LLAMA, QWEN)
    llama, qwen = load_profile(LLAMA), load_profile(QWEN)
    assert (llama.kind, qwen.kind) == (Kind.MEASURED, Kind.ESTIMATED)
    assert llama.licence == qwen.licence == "Apache-2.0"
    assert "ai-dynamo 1.6.1" in llama.source
    assert "AIConfigurator 0.12.0" in qwen.source
    assert [str(p) for p in llama.parallelisms] == ["tp1"]
    assert [str(p) for p in qwen.parallelisms] == ["tp1", "tp2", "tp4", "tp8"]
    assert [p.gpus for p in qwen.parallelisms] == [1, 2, 4, 8]


@pytest.mark.parametrize("entry", ENGINES)
def test_the_bundled_laws_are_the_fits_of_their_points(entry):
    prefill, decode = fit_prefill(entry.prefill_points), fit_decode(entry.decode_points)
    assert prefill.base_seconds == pytest.approx(entry.engine.prefill.base_seconds, rel=1e-6)
    assert prefill.token_seconds == pytest.approx(entry.engine.prefill.token_seconds, rel=1e-6)
    assert prefill.token_squared_seconds == pytest.approx(
        entry.engine.prefill.token_squared_seconds, rel=1e-6
    )
    assert decode.base_seconds == pytest.approx(entry.engine.decode.base_seconds, rel=1e-6)
    assert decode.request_seconds == pytest.approx(entry.engine.decode.request_seconds, rel=1e-6)
    assert decode.kv_token_seconds == pytest.approx(entry.engine.decode.kv_token_seconds, rel=1e-6)


@pytest.mark.parametrize("entry", ENGINES)
def test_the_laws_are_close_to_the_points(entry):
    prefill = prefill_error(entry.engine.prefill, entry.prefill_points)
    decode = decode_error(entry.engine.decode, entry.decode_points)
    assert prefill.mean < 0.027
    assert prefill.largest < 0.10
    assert decode.mean < 0.037
    assert decode.largest < 0.17


def test_the_measured_laws_are_those_that_others_found_in_the_sweep():
    engine = load_profile(LLAMA).engine()
    assert engine.prefill.base_seconds == pytest.approx(18.55e-3, rel=1e-3)
    assert engine.prefill.token_seconds == pytest.approx(14.11e-6, rel=1e-3)
    assert engine.decode.base_seconds == pytest.approx(4.388e-3, rel=1e-2)
    assert engine.limits.kv_capacity_tokens == 945_029


def test_estimated_kv_capacity_is_what_the_weights_leave():
    qwen = load_profile(QWEN)
    for tp in (1, 2, 4, 8):
        limits = qwen.engine(Parallelism(tp=tp)).limits
        assert limits.kv_capacity_tokens == int((0.9 * 141e9 * tp - 65.5e9) / 262_144)


@pytest.mark.parametrize("name", bundled_profiles())
def test_a_profile_survives_its_file(name, tmp_path):
    profile = load_profile(name)
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(profile.to_dict()))
    assert load_profile(path) == profile
    assert load_profile(str(path)) == profile


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        pytest.param(
            "lama-3.1-8b-fp8",
            f"profile 'lama-3.1-8b-fp8': not bundled (there are: {LLAMA}, {QWEN})",
            f"did you mean {LLAMA}?",
            id="a slip",
        ),
        pytest.param(
            "zzz",
            f"profile 'zzz': not bundled (there are: {LLAMA}, {QWEN})",
            "give a file: --profile my-profile.json",
            id="nothing like it",
        ),
        pytest.param(
            "nowhere/mine.json",
            "profile nowhere/mine.json: No such file or directory",
            f"bundled: {LLAMA}, {QWEN}",
            id="no such file",
        ),
    ],
)
def test_an_unknown_profile_is_told_with_those_there_are(name, message, hint):
    with pytest.raises(ProfileError) as caught:
        load_profile(name)
    assert str(caught.value) == message
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"{\n  oops", "line 2: Expecting property name", id="not JSON"),
        pytest.param(b"[1, 2]", "is not a JSON object", id="a list"),
        pytest.param(b"\xff\xfe", "is not UTF-8 text", id="not text"),
        pytest.param(b"{}", "schema_version: is missing", id="empty"),
        pytest.param(b'{"schema_version": "9"}', "9 is not the supported 1", id="of the future"),
    ],
)
def test_a_file_that_is_no_profile_is_refused_in_one_line(content, message, tmp_path):
    path = tmp_path / "mine.json"
    path.write_bytes(content)
    with pytest.raises(ProfileError) as caught:
        load_profile(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def _set(value, path, item):
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = item


@pytest.mark.parametrize(
    ("path", "item", "message"),
    [
        pytest.param(["name"], "", "name: '' is not a text", id="no name"),
        pytest.param(["kind"], "guessed", "kind: 'guessed' is none of measured, estimated"),
        pytest.param(["engines"], {}, "engines: {} is not a list", id="engines no list"),
        pytest.param(["engines"], [], "has no engines", id="no engines"),
        pytest.param(["engines", 0, "tp"], 0, "engines[0].tp: 0 must be at least 1", id="tp 0"),
        pytest.param(
            ["engines", 0, "tp"], 1.5, "engines[0].tp: 1.5 is not a whole number", id="half a GPU"
        ),
        pytest.param(
            ["engines", 0, "limits", "block_size"],
            "x",
            "engines[0].limits.block_size: 'x' is not a number",
            id="a text for a number",
        ),
        pytest.param(
            ["engines", 0, "prefill", "law", "base_seconds"],
            -1,
            "engines[0].prefill.law.base_seconds: -1 must be at least 0",
            id="negative time",
        ),
        pytest.param(
            ["engines", 0, "decode", "law"],
            {"base_seconds": 0, "request_seconds": 0, "kv_token_seconds": 0},
            "engines[0].decode.law: says that a decode step takes no time",
            id="no time at all",
        ),
        pytest.param(
            ["engines", 0, "decode", "points", 2],
            7,
            "engines[0].decode.points[2]: 7 is not an object",
            id="a point that is none",
        ),
        pytest.param(["notes"], "x", "notes: 'x' is not a list of texts", id="notes no list"),
    ],
)
def test_a_wrong_value_is_named_by_its_path(path, item, message):
    document = copy.deepcopy(load_profile(LLAMA).to_dict())
    _set(document, path, item)
    with pytest.raises(ProfileError) as caught:
        Profile.from_dict(document, source="mine.json")
    assert message in str(caught.value)
    assert "mine.json" in str(caught.value) or "has no engines" in message


def test_an_unknown_key_is_told_with_the_one_that_was_meant():
    document = {**load_profile(LLAMA).to_dict(), "licens": "MIT"}
    with pytest.raises(ProfileError) as caught:
        Profile.from_dict(document, source="mine.json")
    assert str(caught.value) == "mine.json: licens: unknown key"
    assert caught.value.hint == "did you mean licence?"


def test_a_parallelism_listed_twice_is_refused():
    document = load_profile(LLAMA).to_dict()
    document["engines"] = [*document["engines"], *document["engines"]]
    with pytest.raises(ProfileError, match="listed twice in tp1, tp1"):
        Profile.from_dict(document)


def test_a_parallelism_without_points_is_told_with_those_there_are():
    with pytest.raises(ProfileError) as caught:
        load_profile(QWEN).engine(Parallelism(tp=3))
    assert str(caught.value).endswith("tp3 is not covered (covered: tp1, tp2, tp4, tp8)")


@pytest.mark.parametrize(
    ("text", "parallelism"),
    [("tp2", Parallelism(tp=2)), ("TP4pp2", Parallelism(tp=4, pp=2)), ("tp1", Parallelism())],
)
def test_a_parallelism_is_read_and_written(text, parallelism):
    assert Parallelism.parse(text) == parallelism
    assert str(parallelism) == text.lower()


@pytest.mark.parametrize("text", ["2", "tp", "tp0", "pp2", "tp2 pp2"])
def test_what_is_no_parallelism_is_refused(text):
    with pytest.raises(ConfigError):
        Parallelism.parse(text)
