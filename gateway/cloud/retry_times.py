"""Say when something is done again, for log lines and problem texts. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta


def in_words(wait: timedelta, *, now: datetime | None = None) -> str:
    """Return when something happens that happens after this wait: `at once`, `in 40 s`, `in 12 min, at 14:05`.

    Args:
        wait: the time from now on; 0 or less is at once.
        now: the local time; the present moment when left out.
    """
    seconds = round(wait.total_seconds())
    if seconds <= 0:
        return "at once"
    if seconds < 120:
        return f"in {seconds} s"
    at = (datetime.now().astimezone() if now is None else now) + wait
    if seconds < 2 * 3600:
        return f"in {round(seconds / 60)} min, at {at:%H:%M}"
    return f"in {round(seconds / 3600)} h, at {at:%Y-%m-%d %H:%M}"


def clock_time(wait: timedelta, *, now: datetime | None = None) -> str:
    """Return the same for a text that is shown for longer: `at once`, `at 14:05`."""
    if wait <= timedelta(0):
        return "at once"
    at = (datetime.now().astimezone() if now is None else now) + wait
    return f"at {at:%H:%M}" if wait < timedelta(hours=12) else f"at {at:%Y-%m-%d %H:%M}"
