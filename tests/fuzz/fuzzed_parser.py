"""Define what a fuzzed parser is, and run one input through it: its own errors come out, in bounded time, and plain values."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hypothesis.strategies import SearchStrategy

CPU_SECONDS = 5.0
"""The most processor time of one input. No parser needs a hundredth of it; a regular expression that backtracks does."""

MAX_TEXT = 40_000
"""The longest text that a parser may return as a value or as an error, whatever came in."""

MAX_WHOLE_NUMBER_BITS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzedParser:
    """One parser that reads what comes from outside."""

    name: str
    """`modbus: device identification`: the area before the colon."""
    inputs: Callable[[], SearchStrategy[Any]]
    """Makes the strategy, when it is needed: some import a library or read files."""
    parse: Callable[[Any], object]
    """Runs the parser, and checks what it returns."""
    errors: tuple[type[Exception], ...] = ()
    """The documented errors. Whatever else comes out is a crash."""


class TooSlow(Exception):
    """The parser used more processor time than any input may cost."""


def run(parser: FuzzedParser, given: object) -> None:
    """Run one input through the parser; raise what must not come out of it."""
    with _limited_time():
        try:
            parser.parse(given)
        except parser.errors as error:
            told = str(error)
            assert len(told) <= MAX_TEXT, f"an error text of {len(told)} characters"
            told.encode()


def check_values(values: Iterable[object]) -> None:
    """Assert that the values are what a reading may have: bounded scalars that the store and the hub can take."""
    for value in values:
        assert value is None or isinstance(value, bool | int | float | str), f"a value of the type {type(value).__name__}"
        if isinstance(value, float):
            assert math.isfinite(value), f"the value {value}"
        if isinstance(value, int):
            assert value.bit_length() <= MAX_WHOLE_NUMBER_BITS, f"a whole number of {value.bit_length()} bits"
        if isinstance(value, str):
            check_text(value)


def check_text(text: str | None) -> None:
    """Assert that a text can be stored and is of bounded length."""
    if text is not None:
        assert isinstance(text, str), f"a text of the type {type(text).__name__}"
        assert len(text) <= MAX_TEXT, f"a text of {len(text)} characters"
        text.encode()


@contextmanager
def _limited_time() -> Iterator[None]:
    """Interrupt what uses too much processor time; waiting for a busy machine does not count."""

    def interrupt(_number: int, _frame: object) -> None:
        raise TooSlow(f"more than {CPU_SECONDS:g} s of processor time for one input")

    before = signal.signal(signal.SIGVTALRM, interrupt)
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
