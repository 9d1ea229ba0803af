"""The documents of the project, and the program that writes their generated parts."""

from pathlib import Path
from types import ModuleType

import pytest
from generator import generator

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def generate() -> ModuleType:
    return generator()


@pytest.fixture(scope="session")
def reference() -> str:
    return (ROOT / "docs" / "reference.md").read_text()


@pytest.fixture(scope="session")
def decisions() -> str:
    return (ROOT / "docs" / "concepts" / "decisions.md").read_text()
