"""The program that writes the generated parts of the documents, which is no package."""

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

_PATH = Path(__file__).parents[2] / "docs" / "generate.py"


@cache
def generator() -> ModuleType:
    """Return docs/generate.py as a module; the search path stays as it is."""
    spec = importlib.util.spec_from_file_location("docs_generate", _PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = sys.path.copy()
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module
