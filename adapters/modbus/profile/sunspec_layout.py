"""Which SunSpec models a device has, and where. Nothing here waits."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from adapters.modbus.client.pdu import ADDRESSES


@dataclass(frozen=True, slots=True)
class PlacedModel:
    """One model in the chain of a device."""

    id: int
    address: int
    """Of its first register, which holds the id."""
    length: int
    """What its second register says: how many follow. Anything behind them belongs to the next model."""

    @property
    def words(self) -> int:
        """All of its registers, with id and length, as far as there are addresses."""
        return min(2 + self.length, ADDRESSES - self.address)


@dataclass(frozen=True, slots=True)
class Layout:
    """The models of one device, in the order of its chain; none for a device that is not SunSpec, or not met yet."""

    models: tuple[PlacedModel, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.models)

    @property
    def ids(self) -> frozenset[int]:
        """Which models there are."""
        return frozenset(model.id for model in self.models)

    def of(self, ids: Collection[int]) -> tuple[PlacedModel, ...]:
        """Return all models with the first of these ids that the device has: two meters are two of one id."""
        there = self.ids
        wanted = next((one for one in ids if one in there), None)
        return tuple(model for model in self.models if model.id == wanted)

    def as_text(self) -> str:
        """Return it as a text that `from_text` reads."""
        return " ".join(f"{model.id}:{model.address}:{model.length}" for model in self.models)

    @classmethod
    def from_text(cls, text: str) -> Layout:
        """Return what a text says; nothing, where it is none."""
        return cls(tuple(_models(text)))


NOWHERE = Layout()
"""A device without SunSpec models."""


def _models(text: str) -> Iterator[PlacedModel]:
    for part in text.split():
        numbers = part.split(":")
        if len(numbers) == 3 and all(number.isdecimal() for number in numbers):
            yield PlacedModel(*map(int, numbers))
