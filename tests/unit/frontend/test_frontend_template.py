"""Chat templates render as Hugging Face renders them, and cannot reach out of their sandbox."""

import json
from datetime import UTC, datetime

import pytest

from runtime.frontend.template import ChatTemplate, TemplateFault
from runtime.frontend.tokenizer import ModelFolderError, load_folder

USER = [{"role": "user", "content": "hi <b>"}]


def render(source, messages=USER):
    template = ChatTemplate(
        source, special_tokens={"bos_token": "<s>"}, now=lambda: datetime(2026, 2, 3, tzinfo=UTC)
    )
    return template.render(messages)


RENDERED = [
    pytest.param("{{ bos_token }}{{ messages[0].content }}", "<s>hi <b>", id="nothing escaped"),
    pytest.param("{{ messages | tojson }}", json.dumps(USER), id="tojson without html escapes"),
    pytest.param("{{ {'ä': 1} | tojson(indent=1) }}", '{\n "ä": 1\n}', id="tojson arguments"),
    pytest.param("{{ strftime_now('%Y-%m-%d') }}", "2026-02-03", id="the date"),
    pytest.param("a\n  {% if true %}\nb\n{% endif %}\nc", "a\nb\nc", id="blocks leave no space"),
    pytest.param("{% for i in [1] %}a{% break %}b{% endfor %}", "a", id="break"),
    pytest.param("{% generation %}a{{ 1 }}{% endgeneration %}", "a1", id="generation block"),
    pytest.param("{{ add_generation_prompt }}{{ tools is none }}", "TrueTrue", id="arguments"),
]


@pytest.mark.parametrize(("source", "text"), RENDERED)
def test_renders(source, text):
    assert render(source) == text


FAILING = [
    pytest.param("{{ raise_exception('no system role') }}", "no system role", id="its own refusal"),
    pytest.param("{{ messages[3].content.x }}", "has no element 3", id="missing message"),
    pytest.param("{{ 1 / 0 }}", "division by zero", id="arithmetic"),
    pytest.param("{{ messages.append(1) }}", "unsafe|not safe", id="changing its input"),
    pytest.param("{{ ''.__class__.__mro__[1].__subclasses__() }}", "unsafe", id="reaching out"),
    pytest.param("{{ range(10**9) | list }}", "too big", id="endless work"),
]


@pytest.mark.parametrize(("source", "text"), FAILING)
def test_fails_as_a_template_fault(source, text):
    with pytest.raises(TemplateFault, match=text):
        render(source)


def test_a_broken_template_is_found_when_it_is_loaded():
    with pytest.raises(TemplateFault, match="does not compile"):
        ChatTemplate("{% if %}", special_tokens={})


async def test_a_folder_is_loaded_whole(model_folder):
    tokenizer = load_folder(str(model_folder))
    assert tokenizer.chat_template is not None
    prompt = tokenizer.chat_template.render(USER)
    assert prompt == "<|start|>user\nhi <b><|end|>\n<|start|>assistant\n"
    token_ids = await tokenizer.encode(prompt, add_special_tokens=False)
    assert token_ids[0] == 1
    long = await tokenizer.encode(prompt * 500, add_special_tokens=False)
    assert long == token_ids * 500
    assert max(long) < tokenizer.token_limit


@pytest.mark.parametrize(
    ("file", "content", "text"),
    [
        pytest.param("tokenizer.json", None, "no such file", id="no tokenizer"),
        pytest.param("tokenizer.json", b"{}", "tokenizer.json", id="broken tokenizer"),
        pytest.param("tokenizer_config.json", b"[", "tokenizer_config.json", id="broken config"),
        pytest.param("tokenizer_config.json", b"[]", "expected an object", id="config is a list"),
        pytest.param("chat_template.jinja", b"{% if %}", "does not compile", id="broken template"),
        pytest.param("chat_template.jinja", b"\xff", "chat_template.jinja", id="not utf-8"),
    ],
)
def test_a_folder_that_cannot_be_used_names_the_file(model_folder, tmp_path, file, content, text):
    for source in model_folder.iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    (tmp_path / file).unlink(missing_ok=True)
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(ModelFolderError, match=text):
        load_folder(str(tmp_path))


def test_the_default_of_several_templates_is_used_and_a_file_before_them(model_folder, tmp_path):
    (tmp_path / "tokenizer.json").write_bytes((model_folder / "tokenizer.json").read_bytes())
    templates = [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": templates}))
    named = load_folder(str(tmp_path)).chat_template
    assert named is not None
    assert named.render(USER) == "d"
    (tmp_path / "chat_template.jinja").write_text("file")
    from_file = load_folder(str(tmp_path)).chat_template
    assert from_file is not None
    assert from_file.render(USER) == "file"
