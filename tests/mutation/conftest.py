"""The files of this folder as modules: pytest imports tests by path, so that a test cannot import its neighbours by name."""

import importlib.util
import sys
from pathlib import Path

import pytest


def _loaded(name):
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"mutation_{name}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def operators():
    return _loaded("operators")


@pytest.fixture(scope="session")
def copies():
    return _loaded("copies")
