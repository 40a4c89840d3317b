import pytest

from gateway.toml_lines import line_of


@pytest.mark.parametrize(
    ("text", "location", "line"),
    [
        ("a = 1\n[b]\nc = 2\n", ("b", "c"), 3),
        ("b = {c = 1}\n", ("b", "c"), 1),
        ('b.c = 1\n"b"."d" = 2\n', ("b", "d"), 2),
        ("x = [\n 1,\n 2,\n]\ny = 3\n", ("x", 1), 3),
        ("x = [ # hosts\n {a = 1}, # one\n {b = [\n  2]},\n]\n", ("x", 1, "b"), 3),
        ("x = [\n 1,\n 2,\n]\ny = 3\n", ("y",), 5),
        ('s = """\n[b]\nc = 2\n"""\n[b]\nc = 3\n', ("b", "c"), 6),
        ("[[a]]\nn = 1\n[[a]]\nn = 2\n", ("a", 1, "n"), 4),
        ("[a]\nb = 1\n", ("a", "missing"), 1),
        ("a = 1\n", ("nowhere",), None),
    ],
)
def test_lines_are_found_however_toml_is_written(text, location, line):
    assert line_of(text, location) == line
