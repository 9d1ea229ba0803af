"""The documents of the project, and the program that writes their generated parts."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def generate() -> ModuleType:
    path = ROOT / "docs" / "generate.py"
    spec = importlib.util.spec_from_file_location("docs_generate", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = sys.path.copy()
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


@pytest.fixture(scope="session")
def reference() -> str:
    return (ROOT / "docs" / "reference.md").read_text()


@pytest.fixture(scope="session")
def decisions() -> str:
    return (ROOT / "docs" / "concepts" / "decisions.md").read_text()
