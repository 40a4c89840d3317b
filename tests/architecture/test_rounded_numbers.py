"""No text for a person has a number with all the digits that a computation left: whoever writes one says how many it has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.plain_numbers import number_text, seconds_text

ROOT = Path(__file__).parents[2]
HELPER = ROOT / "gateway/plain_numbers.py"
SOURCES = [path for folder in ("adapters", "gateway") for path in (ROOT / folder).rglob("*.py") if path != HELPER]
DURATION = re.compile(r"(seconds|_s|timeout|delay|interval|elapsed|duration|wait|since|total_seconds\(\))\b", re.IGNORECASE)
WHOLE_NUMBERS = {  # what is written without rounding, since it is never a fraction
    ("gateway/cloud/backlog_drain.py", "whole.seconds"),
    ("gateway/cloud/retry_times.py", "seconds"),
    ("gateway/status/auth/middleware.py", "RETRY_SECONDS"),
    ("gateway/cli/demo.py", "state.get('uptime_seconds', 0)"),
}


def unrounded(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and expression of each number that is written with `g` without digits, and of each bare length of time."""
    for text in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.JoinedStr)):
        for part, after in zip(text.values, [*text.values[1:], None], strict=True):
            if not isinstance(part, ast.FormattedValue):
                continue
            written = ast.unparse(part.format_spec) if part.format_spec is not None else ""
            is_seconds = isinstance(after, ast.Constant) and re.match(r" ?s(ec|econds)?\b", str(after.value)) is not None
            expression = ast.unparse(part.value)
            if re.search(r"(?<![\d}])g$", written.strip("f'\"")) or (not written and is_seconds and DURATION.search(expression)):
                yield part.lineno, expression


def test_no_text_has_a_number_that_is_not_rounded():
    found = [
        f"{path.relative_to(ROOT)}:{line}: {expression}"
        for path in SOURCES
        for line, expression in unrounded(path.read_text(encoding="utf-8"))
        if (path.relative_to(ROOT).as_posix(), expression) not in WHOLE_NUMBERS
    ]
    assert not found, "write lengths of time with `seconds_text`, and say how many digits other numbers have"


@pytest.mark.parametrize(
    "text",
    ['f"no answer within {timeout_seconds:g} s"', 'f"{wait_seconds} s"', 'f"{value:g}"', 'f"after {x.total_seconds()} seconds"'],
)
def test_a_number_that_is_not_rounded_is_reported(text):
    assert list(unrounded(text))


@pytest.mark.parametrize(
    "text", ['f"{seconds_text(wait)}"', 'f"{seconds:.0f} s"', 'f"{value:.6g}"', 'f"{count} sensors"', 'f"{a}g"']
)
def test_a_rounded_number_is_not_reported(text):
    assert not list(unrounded(text))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *(
            (0.0743827, "0.074 s"),
            (0.5, "0.5 s"),
            (0.25, "0.25 s"),
            (0, "0 s"),
            (5.0, "5 s"),
            (1.23456, "1.23 s"),
            (12.5, "12.5 s"),
        ),
        *(
            (0.999, "1 s"),
            (60, "60 s"),
            (150.2, "150 s"),
            (3600, "3600 s"),
            (86400, "86400 s"),
            (0.0004, "0.0004 s"),
            (-0.5, "-0.5 s"),
        ),
    ],
)
def test_a_length_of_time_has_the_digits_that_mean_something(seconds, text):
    assert seconds_text(seconds) == text


@given(value=st.floats(-1e300, 1e300), digits=st.integers(1, 9))
def test_a_number_keeps_its_value_but_for_rounding(value, digits):
    assert float(number_text(value, digits=digits)) == pytest.approx(value, rel=10.0 ** (1 - digits))
