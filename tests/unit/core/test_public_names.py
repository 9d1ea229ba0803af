"""The library's names, and what importing them costs."""

import subprocess
import sys

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
