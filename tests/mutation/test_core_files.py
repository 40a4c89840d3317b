"""The table of core files names what is there, and `run.py` tells a mistake that is caught from one that is not."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TREE = HERE.parents[1]
TABLE = tomllib.loads((HERE / "core_files.toml").read_text(encoding="utf-8"))

SOURCE = """
def is_full(level):
    return level >= 10


def is_empty(level):
    return level == 0
"""
TESTS = """
from tank import is_empty, is_full


def test_the_edge_of_full():
    assert is_full(10)
    assert not is_full(9)
"""
TRIAL = """
[[core]]
file = "tank.py"
tests = ["test_tank.py"]

[[equivalent]]
file = "tank.py"
within = "is_empty"
before = "0"
after = "1"
reason = "An example."
"""


def test_every_core_file_and_its_tests_are_there():
    paths = [path for core in TABLE["core"] for path in (core["file"], *core["tests"])]
    assert len(paths) > 20
    assert [path for path in paths if not (TREE / path).exists()] == []


def test_every_equivalent_change_is_of_a_core_file_and_has_a_reason():
    core_files = {core["file"] for core in TABLE["core"]}
    for change in TABLE.get("equivalent", []):  # there may be none
        assert change["file"] in core_files
        assert change["reason"].strip(), change


@pytest.fixture
def tree(tmp_path):
    """A tree of one file and its test, as git would add it."""
    for name, text in {"tank.py": SOURCE, "test_tank.py": TESTS, "table.toml": TRIAL}.items():
        (tmp_path / name).write_text(text)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    return tmp_path


def run(tree, *arguments):
    command = [sys.executable, HERE / "run.py", "--json", "--tree", tree, "--table", tree / "table.toml", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_a_test_notices_is_caught_what_none_notices_survives_and_the_tree_stays_as_it_is(tree):
    (report,) = json.loads(run(tree).stdout)
    assert {(it["before"], it["after"]) for it in report["caught"]} == {
        ("level >= 10", "level > 10"),
        ("10", "11"),
        ("return level >= 10", "return None"),
    }
    assert {(it["line"], it["within"], it["before"], it["after"]) for it in report["survived"]} == {
        (7, "is_empty", "level == 0", "level != 0"),
        (7, "is_empty", "return level == 0", "return None"),
    }
    assert report["planted"] == 5
    assert report["score"] == 0.6
    assert (tree / "tank.py").read_text() == SOURCE


def test_tests_that_fail_without_a_mistake_are_reported_as_such(tree):
    (tree / "test_tank.py").write_text("def test_broken(): raise AssertionError")
    done = run(tree)
    assert done.returncode == 1
    assert "fail without a mistake" in json.loads(done.stdout)[0]["problem"]


def test_no_mistake_is_begun_after_the_time_is_up(tree):
    (report,) = json.loads(run(tree, "--minutes", "0").stdout)
    assert (report["planted"], report["not_tried"]) == (0, 5)


def test_an_unknown_file_is_an_error(tree):
    assert run(tree, "--file", "nowhere").returncode == 2


def test_a_run_that_never_ends_is_killed(tree, tmp_path_factory, copies):
    (tree / "test_tank.py").write_text("def test_endless():\n    while True: pass")
    copy = copies.TreeCopy(tree, tmp_path_factory.mktemp("copy"))
    outcome = copy.run(["test_tank.py"], limit_seconds=3)
    assert (outcome.passed, outcome.timed_out) == (False, True)


def test_a_source_of_the_same_length_is_never_taken_for_its_old_bytecode(tree, tmp_path_factory, copies):
    copy = copies.TreeCopy(tree, tmp_path_factory.mktemp("copy"))
    seconds = set()  # bytecode is told from its source by size and by whole seconds
    for source in ("ONE = 1", "ONE = 2", "ONE = 1"):
        copy.write("tank.py", source)
        seconds.add(int((copy.at / "tank.py").stat().st_mtime))
    assert len(seconds) == 3
