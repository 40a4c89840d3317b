"""Share a bounded number of charts among children, so that no child has two more than another one that wants more. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Grant:
    """A chart that may be kept."""

    loser: str | None = None
    """The child that has to give one up for it; `None` when there was room."""


class ChartShares:
    """How many charts each child has, of all that there may be."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._counts: dict[str, int] = {}
        self._by_count: dict[int, dict[str, None]] = {}
        self._total = self._most = 0
        self.revision = 0
        """Grows when charts are given back: who was refused may ask again."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Charts of each child that has some."""
        return self._counts

    @property
    def total(self) -> int:
        """Charts of all children."""
        return self._total

    def ask(self, child: str) -> Grant | None:
        """Take one more chart for a child, `None` when it already has its share."""
        count = self._counts.get(child, 0)
        if self._total < self._limit:
            self._set(child, count + 1)
            return Grant()
        if self._most < count + 2:
            return None
        loser = next(reversed(self._by_count[self._most]))
        self._set(loser, self._most - 1)
        self._set(child, count + 1)
        return Grant(loser)

    def forget(self, child: str) -> None:
        """Give back all charts of a child."""
        if child in self._counts:
            self._set(child, 0)
            self.revision += 1

    def _set(self, child: str, count: int) -> None:
        before = self._counts.pop(child, 0)
        self._total += count - before
        if before:
            same = self._by_count[before]
            del same[child]
            if not same:
                del self._by_count[before]
        if count:
            self._counts[child] = count
            self._by_count.setdefault(count, {})[child] = None
        self._most = max(self._most, count)
        while self._most and self._most not in self._by_count:
            self._most -= 1


def fair_places(wanted: Mapping[str, int], limit: int) -> int:
    """Return how many series each child may keep at most, where each wants so many and all together are limited."""
    if sum(wanted.values()) <= limit:
        return max(wanted.values(), default=0)
    low, high = 0, max(wanted.values())
    while low < high:
        middle = (low + high + 1) // 2
        if _sum_of(wanted.values(), middle) <= limit:
            low = middle
        else:
            high = middle - 1
    return low


def _sum_of(wanted: Collection[int], most: int) -> int:
    return sum(min(one, most) for one in wanted)
