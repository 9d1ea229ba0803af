"""The documents say what the code does."""

import re
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from planner import errors
from planner.cli.exits import MEANINGS, Exit
from planner.core.plan import Reason
from planner.traces import open_trace
from runtime.discovery.static_file import StaticDeployment, read_deployment
from runtime.frontend.fields import CHAT_FIELDS, COMPLETION_FIELDS
from workers.disaggregation.decision import Limits, settings_key

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=lambda path: path.stem)
def test_generated_parts_are_current(path: Path, generate: ModuleType) -> None:
    text = path.read_text()
    assert text == generate.current(text), "run: python docs/generate.py"


def test_pictures_are_current(generate: ModuleType) -> None:
    for name, draw in generate.PICTURES.items():
        assert (DOCS / name).read_text() == draw(), "run: python docs/generate.py"


def test_every_part_is_used_once(generate: ModuleType) -> None:
    used = [
        name
        for path in DOCS.rglob("*.md")
        for name in re.findall(r"<!-- generated: ([\w-]+) -->", path.read_text())
    ]
    assert sorted(used) == sorted(generate.PARTS)


def test_the_worked_figures_add_up(decisions: str) -> None:
    sums = re.findall(r"\| ([-\d.+*/ ()]+) = ([\d.]+)[ ,;|]", decisions)
    assert len(sums) > 10
    for formula, result in sums:
        # A literal of our own documents, made of digits and operators alone.
        assert eval(formula) == pytest.approx(float(result), rel=0.02, abs=0.05)


def test_every_reason_is_explained(decisions: str) -> None:
    section = decisions.partition("## Reasons")[2]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [r.value for r in Reason]


def test_every_reason_has_its_section_in_the_guide() -> None:
    guide = (DOCS / "guides" / "troubleshooting.md").read_text()
    sections = re.split(r"^### ", guide.partition("## Reasons\n")[2], flags=re.MULTILINE)[1:]
    assert [section.split("\n")[0] for section in sections] == [reason.value for reason in Reason]
    for section in sections:
        _, means, *_ = section.split("\n")
        assert means
        assert re.search(r"^- \*\*Look at\*\* .", section, re.MULTILINE)
        assert re.search(r"^- \*\*Do\*\* .", section, re.MULTILINE)


def test_exit_codes() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    raised = {kind.exit_code for kind in kinds if issubclass(kind, errors.PlannerError)}
    assert raised <= {code.value for code in MEANINGS}
    assert list(MEANINGS) == list(Exit)


def test_http_fields(reference: str) -> None:
    section = part(reference, "HTTP").partition("Fields that count")[2]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    rows.append(re.search(r"^Accepted and of no effect: (.*)$", section, re.MULTILINE)[1])
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == {*CHAT_FIELDS, *COMPLETION_FIELDS}


def test_fields_of_one_endpoint_say_which(reference: str) -> None:
    section = part(reference, "HTTP").partition("Fields that count")[2]
    for name, kind in re.findall(r"`(\w+)` \((chat|completions)\)", section):
        own, other = (CHAT_FIELDS, COMPLETION_FIELDS) if kind == "chat" else (
            COMPLETION_FIELDS, CHAT_FIELDS,
        )  # fmt: skip
        assert name in own
        assert name not in other


def test_disaggregation_settings(reference: str) -> None:
    section = part(reference, "Disaggregation settings")
    listed = re.findall(r"^\| `(\w+)` \| (\d+) \|", section, re.MULTILINE)
    assert {name: int(default) for name, default in listed} == msgspec.structs.asdict(Limits())
    assert settings_key("NAMESPACE") in section


def test_the_trace_rows_are_read(reference: str, tmp_path: Path) -> None:
    section = part(reference, "Traces")
    azure = re.search(r"; `(.*?)` \|", section)[1]
    mooncake = re.search(r"`(\{.*?\})`", section)[1]
    file = tmp_path / "trace"
    file.write_text(f"TIMESTAMP,ContextTokens,GeneratedTokens\n{azure}\n")
    assert open_trace(file).isl.tolist() == [374]
    file.write_text(mooncake)
    assert open_trace(file).hash_ids == ((46, 47),)


def test_the_static_file_is_read(reference: str, tmp_path: Path) -> None:
    section = part(reference, "Static mode")
    text = re.search(r"```json\n(.*?)```", section, re.DOTALL)[1]
    file = tmp_path / "static.json"
    file.write_text(text)
    assert len(read_deployment(file)) == 4
    assert {*msgspec.json.decode(text)} == {*StaticDeployment.__struct_fields__}


def part(text: str, heading: str) -> str:
    return text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
