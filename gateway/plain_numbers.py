"""Write numbers for people: rounded, with the digits that mean something. Pure."""

from __future__ import annotations


def seconds_text(seconds: float) -> str:
    """Return a length of time in seconds, rounded: `0.074 s`, `0.5 s`, `12.5 s`, `3600 s`."""
    return f"{number_text(seconds, digits=2 if abs(seconds) < 1 else 3)} s"


def number_text(value: float, *, digits: int = 6) -> str:
    """Return a number with at most so many significant digits, and all those before its decimal point."""
    return f"{value:.0f}" if 10 ** (digits - 1) <= abs(value) < 1e15 else f"{value:.{digits}g}"
