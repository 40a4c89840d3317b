"""The laws of imports hold, and each is broken by a source that is planted to break it."""

import tomllib
from pathlib import Path

import laws
import pytest
from source_tree import SourceTree, module_from

FEWEST_PURE_MODULES = 165
"""How many modules were pure when the law was written: a marker that is lost along with the purity is noticed here."""


PYPROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS = PYPROJECT["tool"]["importlinter"]["contracts"]


@pytest.fixture(scope="module")
def tree():
    return SourceTree.read()


@pytest.fixture
def planted(tree):
    """`planted(law, path, source)` is what the law finds in that file, were it there."""

    def breaches(law, path, source):
        known = set(law(tree))
        return [breach for breach in law(tree.with_file(path, source)) if breach not in known]

    return breaches


def test_the_tree_is_read_as_a_whole(tree):
    assert len(tree.modules) > 250
    assert {"gateway", "gateway.adapter", "adapters.modbus.client.link"} <= tree.modules.keys()
    assert sum(len(module.imports) for module in tree) > 1000


# Pure modules.


def test_pure_modules_wait_for_nothing(tree):
    assert laws.purity_breaches(tree) == []


def test_no_module_loses_its_purity_unnoticed(tree):
    assert sum(laws.is_pure(module, tree) for module in tree) >= FEWEST_PURE_MODULES


@pytest.mark.parametrize("library", sorted(laws.WAITING_LIBRARIES))
@pytest.mark.parametrize("line", ["import {}", "from {} import something", "def f():\n    import {}"])
def test_a_new_pure_file_that_imports_what_waits_is_a_breach(planted, library, line):
    source = f'"""Add numbers. Pure."""\n{line.format(library)}\n'
    assert planted(laws.purity_breaches, "gateway/state/sums.py", source) == [
        f"gateway/state/sums.py:{source[: source.index(library)].count(chr(10)) + 1} is pure and imports {library}"
    ]


def test_a_new_file_that_imports_asyncio_and_sqlite_and_says_pure_breaks_two_laws(planted):
    source = '"""Add numbers. Pure."""\nimport asyncio\nimport sqlite3\n'
    assert len(planted(laws.purity_breaches, "gateway/status/sums.py", source)) == 2
    assert len(planted(laws.library_breaches, "gateway/status/sums.py", source)) == 1


def test_a_package_that_says_pure_says_it_for_all_its_files(tree):
    sums = tree.with_file("gateway/sums/__init__.py", '"""Sums. Pure."""').with_file("gateway/sums/add.py", "import asyncio")
    assert set(laws.purity_breaches(sums)) - set(laws.purity_breaches(tree)) == {
        "gateway/sums/add.py:1 is pure and imports asyncio"
    }


def test_the_marker_counts_only_at_the_end_of_the_first_paragraph(planted):
    assert planted(laws.purity_breaches, "gateway/sums.py", '"""Add.\n\nPure."""\nimport asyncio') == []
    assert planted(laws.purity_breaches, "gateway/sums.py", '"""Add. Pure.\n\nMore words."""\nimport asyncio') != []


def test_a_pure_file_with_async_code_is_a_breach(planted):
    source = '"""Add. Pure."""\nasync def add():\n    """Add."""\n'
    assert planted(laws.purity_breaches, "gateway/sums.py", f"{source}    return 1") == [
        "gateway/sums.py is pure and holds async code"
    ]
    assert planted(laws.purity_breaches, "gateway/sums.py", source) == [], "a contract only declares it"


@pytest.mark.parametrize(
    ("line", "is_allowed"),
    [
        ("from gateway.state.registry import ChildState", True),
        ("from gateway.models import anything", True),
        ("from gateway.state import store", False),
        ("import gateway.state.store", False),
        ("from gateway.tasks import loop_time", False),
    ],
)
def test_a_pure_file_takes_nouns_but_no_functions_from_files_that_wait(planted, line, is_allowed):
    assert (planted(laws.purity_breaches, "gateway/sums.py", f'"""Add. Pure."""\n{line}') == []) == is_allowed


@pytest.mark.parametrize(("marker", "is_allowed"), [("Pure.", True), ("", False)])
def test_a_function_that_is_handed_on_counts_where_it_is_defined(planted, tree, marker, is_allowed):
    handed_on = tree.with_file("gateway/sums.py", f'"""Sums. {marker}"""').with_file(
        "gateway/door.py", "from gateway.sums import add"
    )
    more = handed_on.with_file("gateway/more.py", '"""Add. Pure."""\nfrom gateway.door import add')
    assert ([found for found in laws.purity_breaches(more) if found.startswith("gateway/more.py")] == []) == is_allowed


# One file for each outside library.


def test_each_outside_library_has_its_files(tree):
    assert laws.library_breaches(tree) == []
    assert laws.unused_places(tree) == []


@pytest.mark.parametrize("library", sorted(laws.IMPORTED_ONLY_BY))
@pytest.mark.parametrize("path", ["adapters/serial/new_file.py", "gateway/field/new_file.py"])
def test_a_library_in_any_other_file_is_a_breach(planted, library, path):
    (found,) = planted(laws.library_breaches, path, f"import {library}")
    assert found.startswith(f"{path}:1 imports {library}: only ")


def test_bleak_in_a_serial_file_is_a_breach_however_it_is_imported(planted):
    for line in (
        "import bleak",
        "from bleak import BleakClient",
        "import bleak.backends.device as d",
        "def f():\n    from bleak import exc",
    ):
        assert len(planted(laws.library_breaches, "adapters/serial/new_file.py", line)) == 1


def test_a_library_that_no_law_knows_is_a_breach(planted):
    (found,) = planted(laws.library_breaches, "gateway/cloud/new_file.py", "import requests")
    assert found == "gateway/cloud/new_file.py:1 imports requests, and no law says which file may"


def test_a_place_of_a_file_that_was_renamed_is_noticed(tree, monkeypatch):
    monkeypatch.setitem(laws.IMPORTED_ONLY_BY, "pymodbus", ("adapters/modbus/wire.py",))
    assert laws.unused_places(tree) == ["adapters/modbus/wire.py does not import pymodbus"]


# Who may import whom.


def test_an_adapter_knows_its_contract_and_itself(tree):
    assert laws.contract_breaches(tree) == []


@pytest.mark.parametrize(
    "line", ["import gateway.models", "from gateway.state import outbox", "from adapters.modbus.settings import Bus"]
)
def test_an_adapter_that_imports_another_part_is_a_breach(planted, line):
    assert len(planted(laws.contract_breaches, "adapters/serial/port/new_file.py", line)) == 1


def test_every_module_is_in_a_layer(tree):
    assert laws.without_layer(tree, CONTRACTS) == []


def test_a_new_room_without_a_layer_is_a_breach(planted):
    def law(tree):
        return laws.without_layer(tree, CONTRACTS)

    assert planted(law, "gateway/new_room/sums.py", "import math") == [
        "gateway/new_room/sums.py is in no layer of pyproject.toml"
    ]
    assert planted(law, "gateway/state/sums.py", "import math") == []


def test_there_is_no_circle_of_modules_and_none_of_rooms(tree):
    assert laws.cycles(tree) == []


def test_a_circle_of_modules_is_a_breach(planted):
    assert any(
        "gateway.models" in found for found in planted(laws.cycles, "gateway/models.py", "from gateway.adapter import Adapter")
    )


def test_a_circle_of_rooms_is_a_breach_although_no_module_is_in_one(tree):
    first = tree.with_file("gateway/one/__init__.py", "").with_file("gateway/one/a.py", "from gateway.two import b")
    second = first.with_file("gateway/two/__init__.py", "").with_file("gateway/two/b.py", "").with_file("gateway/two/c.py", "")
    circle = second.with_file("gateway/two/c.py", "from gateway.one import d").with_file("gateway/one/d.py", "")
    assert [found for found in laws.cycles(circle) if "gateway.one" in found] == [
        "a circle of rooms: gateway.one -> gateway.two -> gateway.one"
    ]
    assert not [found for found in laws.cycles(second) if "gateway.one" in found]


def test_relative_imports_are_read_too():
    module = module_from("gateway/a/b.py", "from . import c\nfrom ..d import e")
    assert [(found.module, found.name) for found in module.imports] == [("gateway.a", "c"), ("gateway.d", "e")]
