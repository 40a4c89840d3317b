"""How things are said on the page: moments, shares, numbers, and the one sentence that sums everything up. Nothing here waits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from gateway.models import Value
from gateway.status.snapshot import Snapshot, Standing, count_standings

STANDING_WORDS: Final = {
    Standing.REFUSED: "refused by the cloud",
    Standing.SILENT: "silent",
    Standing.UNREGISTERED: "not in the cloud yet",
    Standing.UNASKED: "not asked yet",
    Standing.FINE: "fine",
    Standing.DELETED: "left deleted",
}

HOUR_SECONDS: Final = 3600
SPARK_WIDTH: Final = 120
SPARK_HEIGHT: Final = 24


def moment(at: datetime) -> str:
    """Return a moment in words that fit everywhere; the page makes "3 min ago" of it where scripts run."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def share(part: float) -> str:
    """Return a share as percent, finer where it is small."""
    percent = 100 * part
    if 0 < percent < 0.05:
        return "under 0.1 %"
    return f"{percent:.1f} %" if 0 < percent < 9.95 else f"{percent:.0f} %"


def number(value: Value) -> str:
    """Return a value as a person reads it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "not available"
    if isinstance(value, float):
        return grouped(f"{value:,.2f}".rstrip("0").rstrip(".")) if 1e4 <= abs(value) < 1e15 else f"{value:.6g}"
    return grouped(f"{value:,}") if isinstance(value, int) and abs(value) >= 10_000 else str(value)


def grouped(digits: str) -> str:
    """Return a number with its thousands apart, by spaces at which no line breaks."""
    return digits.replace(",", "\u202f")


def count(things: int, one: str = "", many: str | None = None) -> str:
    """Return `1 sample` or `12 samples`."""
    noun = one if things == 1 or not one else many if many is not None else f"{one}s"
    return f"{grouped(f'{things:,}')} {noun}".rstrip()


def headline(snapshot: Snapshot) -> str:
    """Return how everything stands in one or two sentences: the cloud first, then the children."""
    return f"{_of_cloud(snapshot)} {_of_children(snapshot)}"


def spark(outline: Sequence[tuple[int, float]]) -> str:
    """Return the way of a value through the hour up to its last point, as the points of an SVG line; gaps are bridged.

    One point a minute: there may be hundreds of these pictures on a page.
    """
    if len(outline) < 2:
        return ""
    last, _ = outline[-1]
    points = [(at, value) for at, value in outline if at % 60 < 30 or at == last]
    across = ((at - last + HOUR_SECONDS) * SPARK_WIDTH // HOUR_SECONDS for at, _ in points)
    return " ".join(f"{x},{y:g}" for x, y in zip(across, _flipped(value for _, value in points), strict=True))


def _of_cloud(snapshot: Snapshot) -> str:
    gateway = snapshot.gateway
    if not gateway.is_registered:
        return "The gateway is not registered with the cloud."
    if gateway.hub.is_reachable is None:
        return "The cloud has not answered yet."
    if not gateway.hub.is_reachable:
        return "The cloud is not reachable; everything is kept."
    if gateway.is_claimed is False:
        return "The cloud is reachable, but nobody has claimed this gateway yet."
    return "The cloud is reachable."


def _of_children(snapshot: Snapshot) -> str:
    counts = count_standings(snapshot.children)
    total = sum(counts.values())
    if not total:
        return "No device has become a child yet."
    if counts.get(Standing.FINE) == total:
        return "Its only child is fine." if total == 1 else f"All {total} children are fine."
    rest = [f"{counts[one]} {STANDING_WORDS[one]}" for one in counts if one is not Standing.FINE]
    fine = counts.get(Standing.FINE, 0)
    return f"{fine} of {count(total, 'child', 'children')} {'is' if fine == 1 else 'are'} fine, {_and(rest)}."


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _flipped(values: Iterable[float]) -> list[float]:
    """Spread values over the height of a small picture, where down is more; in the middle when they are all the same."""
    values = list(values)
    low, span, room = min(values), max(values) - min(values), SPARK_HEIGHT - 4
    return [round(2 + room - (value - low) / span * room, 1) if span else SPARK_HEIGHT / 2 for value in values]
