"""What the operators change, what they leave alone, and that each change can be made."""

import ast
from pathlib import Path

import pytest


@pytest.fixture
def changes(operators):
    """`changes(source)` are all changes, as what stands there before and after."""
    return lambda source: [(it.before, it.after) for it in operators.mutants(source)]


@pytest.mark.parametrize(
    ("source", "change"),
    [
        ("a < b", ("a < b", "a <= b")),
        ("a is None", ("a is None", "a is not None")),
        ("a < b < c", ("a < b < c", "a < b <= c")),
        ("a and b", ("a and b", "a or b")),
        ("not a", ("not a", "a")),
        ("a + b", ("a + b", "a - b")),
        ("a += b", ("a += b", "a -= b")),
        ("a += b", ("a += b", "pass")),
        ("x = 3", ("3", "4")),
        ("x = True", ("True", "False")),
        ("any(a)", ("any(a)", "all(a)")),
        ("min(a, b)", ("min(a, b)", "max(a, b)")),
        ("if a:\n    b()", ("if a:", "if not a:")),
        ("[a for a in b if c(a)]", ("for a in b if c(a)", "for a in b if not c(a)")),
        ("def f():\n    return a", ("return a", "return None")),
        ("a()", ("a()", "pass")),
        ("async def f():\n    await a()", ("await a()", "pass")),
        ("a.b = c", ("a.b = c", "pass")),
        ("raise a", ("raise a", "pass")),
        ("while a:\n    continue", ("continue", "break")),
        ("while a:\n    break", ("break", "continue")),
        ("with lock:\n    a()", ("with lock:", "if True:")),
        ("try:\n    a()\nexcept (B, C):\n    pass", ("except (B, C):", "except B:")),
    ],
)
def test_an_operator_makes_the_change_that_it_is_for(changes, source, change):
    assert change in [(before.strip(), after.strip()) for before, after in changes(source)]


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring."""',
        "import a",
        "x: int",
        "x = 'text'",
        "log.warning('%s: %d', a, 3)",
        "f'{a < b}'",
        "__all__ = [1]",
        "@decorated(1)\ndef f(a: Literal[1]) -> Literal[2]: ...",
        "if TYPE_CHECKING:\n    a()",
        "while True:\n    pass",
        "with open() as a:\n    pass",
        "def f():\n    return None",
    ],
)
def test_texts_log_lines_annotations_and_imports_are_left_alone(changes, source):
    assert changes(source) == []


def test_each_change_is_the_only_one_that_is_made(operators):
    source = "def f(a, b):\n    if a < b and a:\n        return a + 1\n    return b"
    made = [operators.planted(source, it.number) for it in operators.mutants(source)]
    assert len(made) == 6
    assert len(set(made)) == 6
    assert all(ast.parse(text) for text in made)
    assert "return a - 1" in "".join(made)


def test_a_mutant_says_where_it_is(operators):
    (mutant,) = operators.mutants("class A:\n    def f(self):\n        self.b()")
    assert (mutant.line, mutant.within) == (3, "A.f")


def test_every_change_of_our_own_sources_can_be_made(operators):
    sources = sorted((Path(__file__).parents[2] / "gateway" / "state").glob("*.py"))
    assert sources
    for path in sources:
        source = path.read_text(encoding="utf-8")
        for mutant in operators.mutants(source)[::10]:
            assert ast.parse(operators.planted(source, mutant.number)), (path, mutant)
