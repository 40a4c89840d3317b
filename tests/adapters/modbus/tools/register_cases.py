"""Invented devices: registers with measured values in the styles that makers use, and the values on their displays."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from gateway.adapter import Dump

QUANTITIES = {
    # low, high, decimals on the display, how far it drifts between two looks, as a share
    "voltage": (207, 253, 1, 0.004),
    "current": (1, 60, 2, 0.05),
    "power": (-9000, 12000, 0, 0.05),
    "frequency": (49.8, 50.2, 2, 0.0005),
    "power factor": (0.6, 1.0, 3, 0.01),
    "energy": (100, 90000, 1, 0.0001),
    "temperature": (-15, 95, 1, 0.01),
}
"""What devices measure."""

STYLES = {
    "float": (("float32", False, 1.0),),
    "float, low word first": (("float32", True, 1.0),),
    "whole registers": (("int16", False, 0.1), ("int16", False, 0.01)),
    "long registers": (("int32", False, 0.1), ("int32", False, 0.01), ("int32", False, 0.001)),
    "long, low word first": (("int32", True, 0.1), ("int32", True, 0.01)),
    "mixed": (("int16", False, 0.1), ("int32", False, 0.01), ("float32", False, 1.0)),
}
"""Type, low word first, scale: the ways in which one maker stores numbers."""


@dataclass(frozen=True, slots=True)
class RegisterCase:
    """What a person saw, and where it truly stands."""

    seen: list[tuple[Dump, Decimal]]
    address: int
    kind: str
    low_word_first: bool
    scale: float

    def is_explained_by(self, where: str) -> bool:
        """Whether this place is the true one, or the low word of it where the high word holds nothing."""
        place = where.split(",")[0]
        if self.kind == "int16":
            return place == f"input {self.address}"
        low_word = self.address if self.low_word_first else self.address + 1
        return place == f"input {self.address}-{self.address + 1}" or (self.kind == "int32" and place == f"input {low_word}")


@dataclass(slots=True)
class _Point:
    address: int
    kind: str
    low_word_first: bool
    scale: float
    value: float
    decimals: int
    drift: float

    def words(self) -> list[int]:
        letter = {"float32": "f", "int16": "h", "int32": "i"}[self.kind]
        raw = self.value if self.kind == "float32" else round(self.value / self.scale)
        packed = struct.pack(f">{letter}", raw)
        words = [int.from_bytes(packed[at : at + 2]) for at in range(0, len(packed), 2)]
        return words[::-1] if self.low_word_first else words


def cases(count: int, samples: int, seed: int = 1) -> Iterator[RegisterCase]:
    """Yield so many cases with so many looks at the display each; the same ones for the same seed."""
    chance = random.Random(seed)
    for _ in range(count):
        yield _case(chance, samples)


def _case(chance: random.Random, samples: int) -> RegisterCase:
    style = STYLES[chance.choice(sorted(STYLES))]
    points = list(_points(chance, style))
    target = chance.choice(points)
    end = max(point.address for point in points) + chance.randrange(20, 350)
    fixed = {address: _constant(chance) for address in range(points[0].address, end)}
    seen = []
    for _ in range(samples):
        cells = dict(fixed)
        for point in points:
            cells.update(enumerate(point.words(), start=point.address))
        seen.append((Dump(cells={"input": cells}), _shown(target)))
        for point in points:
            point.value *= 1 + chance.uniform(-1, 1) * point.drift
    return RegisterCase(seen, target.address, target.kind, target.low_word_first, target.scale)


def _points(chance: random.Random, style: tuple[tuple[str, bool, float], ...]) -> Iterator[_Point]:
    address = chance.choice([0, 0, 0, 100, 1000, 4096, 30000])
    for quantity in chance.sample(sorted(QUANTITIES), k=chance.randint(3, 6)):
        low, high, decimals, drift = QUANTITIES[quantity]
        kind, low_word_first, scale = chance.choice(style)
        if kind == "int16" and (high / scale > 32767):
            kind, scale = "int32", max(scale, 0.01)
        if kind != "float32":
            decimals = min(decimals, round(-_log10(scale)))
        for _ in range(chance.choice([1, 3])):
            yield _Point(address, kind, low_word_first, scale, chance.uniform(low, high), decimals, drift)
            address += 1 if kind == "int16" else 2
        address += chance.choice([0, 0, 2, 6, 20])


def _log10(scale: float) -> int:
    return round(Decimal(str(scale)).log10()) if scale != 1 else 0


def _shown(point: _Point) -> Decimal:
    """Return what the display shows: the stored value, rounded to its decimals."""
    stored = point.value if point.kind == "float32" else round(point.value / point.scale) * point.scale
    return Decimal(f"{stored:.{point.decimals}f}")


def _constant(chance: random.Random) -> int:
    """Return what stands in registers that measure nothing: mostly nothing, settings, texts, serial numbers."""
    return chance.choice([0, 0, 0, 0, 1, chance.randrange(10), chance.randrange(300), chance.randrange(65536), 0x2020])
