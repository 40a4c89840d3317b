"""Make the registers of a SunSpec device: the marker, the common model, and other models. Pure.

Implements the SunSpec Device Information Model Specification V1.1 separately from the adapter. The content of a model is given by
register; as in its definition, its id is register 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from gateway.testing.modbus.memory import Registers
from gateway.testing.modbus.signals import Table

_MARKER = (0x5375, 0x6E53)
_END = (0xFFFF, 0)
_COMMON_LENGTH = 66


@dataclass(frozen=True, slots=True)
class SunSpecModel:
    """One model of a device.

    Raises:
        ValueError: a word is behind the end of the model, or before its first register.
    """

    id: int
    length: int
    """How many registers follow its id and its length."""
    words: Mapping[int, int] = field(default_factory=dict)
    """Register within the model -> its content, from 2 on; a negative number as its two's complement. Others are 0."""

    def __post_init__(self) -> None:
        wrong = [register for register in self.words if not 2 <= register < 2 + self.length]
        if wrong:
            raise ValueError(f"model {self.id} has the registers 2 to {1 + self.length}, not {wrong}")

    def __iter__(self) -> Iterator[int]:
        """Yield its registers in the order of the device."""
        yield from (self.id, self.length)
        yield from (self.words.get(register, 0) & 0xFFFF for register in range(2, 2 + self.length))


def sunspec_registers(
    models: Iterable[SunSpecModel],
    *,
    manufacturer: str = "Acme",
    model: str = "Sun 9",
    version: str = "1.2",
    serial_number: str = "SN-77",
    base: int = 40000,
) -> Registers:
    """Return the registers of a `SimulatedUnit` with the common model and these models, in this order."""
    texts = [*_text(16, manufacturer), *_text(16, model), *_text(8, ""), *_text(8, version), *_text(16, serial_number)]
    common = SunSpecModel(1, _COMMON_LENGTH, dict(enumerate(texts, start=2)))
    words = [*_MARKER, *(word for each in (common, *models) for word in each), *_END]
    return {Table.HOLDING_REGISTERS: dict(enumerate(words, start=base))}


def _text(words: int, content: str) -> list[int]:
    raw = content.encode("ascii").ljust(2 * words, b"\0")
    return [int.from_bytes(raw[at : at + 2]) for at in range(0, 2 * words, 2)]
