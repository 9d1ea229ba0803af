"""What the images are built from is there, and what they start exists. (None is built here.)"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from dockerfile import IMAGES, instructions, words
from manifests import OVERLAYS, built

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LINTER = Path(sys.executable).parent / "hadolint"
FILES = sorted(IMAGES.glob("Dockerfile*"))
pytestmark = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)


def arguments(path: Path) -> dict[str, str]:
    pairs = (rest.partition("=") for name, rest in instructions(path) if name == "ARG")
    return {name: value for name, _, value in pairs}


def copied(path: Path) -> list[str]:
    """Return what comes from the repository."""
    lists = [rest.split() for name, rest in instructions(path) if name == "COPY"]
    return [source for its in lists if not its[0].startswith("--from") for source in its[:-1]]


def test_what_is_copied_is_there_and_sent(path: Path) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for source in copied(path):
        assert (ROOT / source).exists()
        assert f"!{source}" in ignored


def test_every_package_is_copied(path: Path) -> None:
    packages = PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {name.removesuffix("*") for name in packages} <= set(copied(path))
    assert {"pyproject.toml", PROJECT["project"]["readme"]} <= set(copied(path))


def test_the_extras_are_the_projects(path: Path) -> None:
    extras = arguments(path)["EXTRAS"].split(",")
    assert set(extras) <= PROJECT["project"]["optional-dependencies"].keys()
    installs = [rest for name, rest in instructions(path) if name == "RUN" and '".[' in rest]
    assert len(installs) == 1
    assert '".[${EXTRAS}]"' in installs[0]


def test_its_base_is_one_version(path: Path) -> None:
    image, _, tag = arguments(path)["BASE"].partition(":")
    assert image
    assert re.match(r"\d+\.\d+", tag)
    assert {rest for name, rest in instructions(path) if name == "FROM"} == {
        "${BASE} AS build",
        "${BASE}",
    }


def test_it_runs_as_nobody_in_particular(path: Path) -> None:
    (user,) = [rest for name, rest in instructions(path) if name == "USER"]
    assert user == "65532:65532"
    for overlay in OVERLAYS:
        for item in built(overlay):
            if item["kind"] in ("Deployment", "StatefulSet"):
                pod = item["spec"]["template"]["spec"]
                assert pod["securityContext"]["runAsUser"] == 65532


def test_it_starts_the_program(path: Path) -> None:
    assert words(path, "ENTRYPOINT")[0] in PROJECT["project"]["scripts"]
    program, flag, code = words(path, "HEALTHCHECK")
    assert (program.removesuffix("3"), flag) == ("python", "-c")
    compile(code, "HEALTHCHECK", "exec")


def test_vllm_is_of_the_version_that_the_workers_are_for(path: Path) -> None:
    version = arguments(path).get("VLLM_VERSION")
    if version is None:
        assert "vllm" not in arguments(path)["EXTRAS"]
        return
    (range_,) = [
        one for one in PROJECT["project"]["optional-dependencies"]["vllm"] if "vllm>" in one
    ]
    assert range_ == f"vllm>={version.rpartition('.')[0]},<0.{int(version.split('.')[1]) + 1}"


@pytest.mark.skipif(not LINTER.exists(), reason="hadolint has no wheel for this machine")
def test_the_linter_has_nothing_to_say(path: Path) -> None:
    run = subprocess.run([LINTER, path], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
