"""What others build on is what public_surface.json lists: a name that disappears is a breaking change, a new one is a promise.

After a change on purpose: `python tests/architecture/surface.py`, and a line in CHANGELOG.md.
"""

import json
import re
from importlib import import_module
from pathlib import Path

import pytest
import surface

PINNED = json.loads(surface.PINNED.read_text(encoding="utf-8"))
AUTHORS_GUIDE = (Path(__file__).parents[2] / "adapters" / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def current():
    return surface.surface()


@pytest.mark.parametrize("part", sorted(PINNED))
def test_the_public_surface_is_the_one_that_is_pinned(current, part):
    assert PINNED[part], "a list that is empty pins nothing"
    assert current[part] == PINNED[part]


def test_nothing_public_is_missing_from_the_list(current):
    assert current.keys() == PINNED.keys()


def test_every_exported_name_is_there():
    module = import_module("gateway.adapter")
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert len(set(module.__all__)) == len(module.__all__)


def test_every_test_tool_that_the_authors_guide_names_can_be_imported():
    named = sorted(set(re.findall(r"`(gateway\.testing(?:\.\w+)+)", AUTHORS_GUIDE)))
    assert len(named) > 5
    for dotted in named:
        module, _, name = dotted.rpartition(".")
        try:
            import_module(dotted)
        except ModuleNotFoundError:
            assert hasattr(import_module(module), name), dotted
