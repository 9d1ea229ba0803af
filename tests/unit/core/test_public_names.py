"""The library's names, and what importing them costs."""

import subprocess
import sys
from importlib.resources import files

import pytest

import planner


@pytest.mark.parametrize("name", planner.__all__)
def test_every_public_name_is_there(name):
    assert getattr(planner, name).__name__ == name
    assert name in dir(planner)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'planner' has no attribute 'frobnicate'"):
        _ = planner.frobnicate


def test_knowing_decisions_loads_neither_numpy_nor_scipy():
    loads = "import sys, planner.core.decide, planner.profiles"
    code = f"{loads}; print({{'numpy', 'scipy'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_importing_the_library_loads_next_to_nothing():
    code = (
        "import sys; before = set(sys.modules); import planner; print(*set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded - sys.stdlib_module_names == {"planner"}
    assert not [name for name in done.stdout.split() if name.startswith("planner.")]


def test_the_library_is_typed():
    assert (files("planner") / "py.typed").is_file()
