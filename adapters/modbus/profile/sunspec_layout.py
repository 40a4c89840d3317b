"""Define the layout of a SunSpec device: its models and their addresses. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from adapters.modbus.client.pdu import ADDRESSES


@dataclass(frozen=True, slots=True)
class PlacedModel:
    """One model in the chain of a device."""

    id: int
    address: int
    """The address of its first register, which holds the id."""
    length: int
    """The content of its second register: how many registers follow. The next model begins behind them."""

    @property
    def words(self) -> int:
        """The number of its registers with id and length, as far as there are addresses."""
        return min(2 + self.length, ADDRESSES - self.address)


@dataclass(frozen=True, slots=True)
class SunSpecLayout:
    """The models of one device, in the order of its chain; none for a device that is not SunSpec, or not identified yet."""

    models: tuple[PlacedModel, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.models)

    @property
    def ids(self) -> frozenset[int]:
        """The ids of the models."""
        return frozenset(model.id for model in self.models)

    def of(self, ids: Collection[int]) -> tuple[PlacedModel, ...]:
        """Return all models with the first of these ids that the device has: two meters are two of one id."""
        there = self.ids
        wanted = next((one for one in ids if one in there), None)
        return tuple(model for model in self.models if model.id == wanted)

    def as_text(self) -> str:
        """Return the layout as a text that `from_text` reads."""
        return " ".join(f"{model.id}:{model.address}:{model.length}" for model in self.models)

    @classmethod
    def from_text(cls, text: str) -> SunSpecLayout:
        """Return the layout in a text; an empty one, where the text is invalid."""
        return cls(tuple(_models(text)))


NO_MODELS = SunSpecLayout()
"""A device without SunSpec models."""


REGISTER_DIGITS = 5
"""The digits of the largest register."""


def _models(text: str) -> Iterator[PlacedModel]:
    for part in text.split():
        numbers = part.split(":")
        if len(numbers) == 3 and all(number.isdecimal() and len(number) <= REGISTER_DIGITS for number in numbers):
            yield PlacedModel(*map(int, numbers))
