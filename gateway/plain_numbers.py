"""Write numbers for people: rounded, with the digits that mean something. Pure."""

from __future__ import annotations


def seconds_text(seconds: float) -> str:
    """Return a length of time in seconds, rounded: `0.074 s`, `0.5 s`, `12.5 s`, `3600 s`."""
    return f"{number_text(seconds, digits=2 if abs(seconds) < 1 else 3)} s"


def number_text(value: float, *, digits: int = 6) -> str:
    """Return a number with at most so many significant digits, and all those before its decimal point."""
    return f"{value:.0f}" if 10 ** (digits - 1) <= abs(value) < 1e15 else f"{value:.{digits}g}"


def share_text(share: float) -> str:
    """Return a share in per cent: `41 %`, and `less than 1 %` for what is more than nothing."""
    return "less than 1 %" if 0 < share < 0.01 else f"{100 * share:.0f} %"


def duration_text(seconds: float) -> str:
    """Return a longer time in the unit that fits: `40 s`, `25 min`, `3 h`, `12 days`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} days"
