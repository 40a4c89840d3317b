"""Each exception from a rule of ruff, mypy or pytest carries its reason: on the same line, in sources and in pyproject.toml."""

import re
import tokenize
import tomllib
from io import StringIO
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
EXCEPTION = re.compile(r"#\s*(?:noqa|type:\s*ignore)")
NAMED_EXCEPTION = re.compile(r"#\s*(?:noqa:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*|type:\s*ignore\[[a-z,\- ]+\])")


def lacks_reason(comment):
    """Whether a comment makes an exception without naming the rule, or without a word beside it."""
    rest = NAMED_EXCEPTION.sub("", comment)
    return EXCEPTION.search(comment) is not None and (EXCEPTION.search(rest) is not None or not re.search(r"[a-z]{3}", rest))


def comments(source):
    tokens = tokenize.generate_tokens(StringIO(source).readline)
    return [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]


def exceptions_of(toml, table):
    """The rules in a table of lists, each with the rest of its line."""
    tables = tomllib.loads(toml)["tool"]["ruff"]["lint"]
    rules = tables[table] if isinstance(tables[table], list) else [rule for listed in tables[table].values() for rule in listed]
    lines = [line for line in toml.splitlines() if re.match(r'\s*"[A-Z]+\d*",\s*(#|$)', line)]
    return {rule: [line for line in lines if f'"{rule}"' in line] for rule in rules}


def test_each_exception_in_a_source_says_why():
    paths = [path for room in ("gateway", "adapters", "tests", "deploy") for path in (ROOT / room).rglob("*.py")]
    found = [
        (f"{path.relative_to(ROOT)}:{line}", comment)
        for path in paths
        for line, comment in comments(path.read_text(encoding="utf-8"))
        if EXCEPTION.search(comment)
    ]
    assert len(found) > 50
    assert [(where, comment) for where, comment in found if lacks_reason(comment)] == []


@pytest.mark.parametrize(
    ("comment", "lacks"),
    [
        ("# noqa: S104 - recognised, not bound", False),
        ("# noqa: T201  a script", False),
        ("# noqa: FBT001, FBT003 - as above", False),
        ("# type: ignore[override]  # noqa: ANN401 - as asyncio has it", False),
        ("# type: ignore[operator]  # both are numbers", False),
        ("# noqa: S104", True),
        ("# noqa", True),
        ("# noqa - because it is so", True),
        ("# type: ignore", True),
        ("# type: ignore[operator]", True),
        ("# type: ignore[operator]  # noqa: ANN401", True),
        ("# a comment without any exception", False),
    ],
)
def test_an_exception_without_rule_or_reason_is_noticed(comment, lacks):
    assert lacks_reason(comment) == lacks


@pytest.mark.parametrize("table", ["ignore", "per-file-ignores"])
def test_each_exception_in_pyproject_says_why(table):
    rules = exceptions_of(PYPROJECT, table)
    assert rules
    for rule, lines in rules.items():
        assert lines, f"{rule} stands on no line of its own"
        assert all(re.search(r",\s*#\s*\w+.*\s\S+", line) for line in lines), lines
