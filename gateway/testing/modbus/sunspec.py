"""Make the registers of a SunSpec device: the marker, the common model, and other models. Pure.

Implements the SunSpec Device Information Model Specification V1.1 separately from the adapter. The content of a model is given by
register; as in its definition, its id is register 0. Real devices keep less closely to the specification than this one does by
itself: `padding`, `told_length` and `end` are how they differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

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
    told_length: int | None = None
    """The length that the device tells, where it is wrong; `None` for the right one."""

    def __post_init__(self) -> None:
        wrong = [register for register in self.words if not 2 <= register < 2 + self.length]
        if wrong:
            raise ValueError(f"model {self.id} has the registers 2 to {1 + self.length}, not {wrong}")

    def __iter__(self) -> Iterator[int]:
        """Yield its registers in the order of the device."""
        yield from (self.id, self.length if self.told_length is None else self.told_length)
        yield from (self.words.get(register, 0) & 0xFFFF for register in range(2, 2 + self.length))


def sunspec_registers(
    models: Iterable[SunSpecModel],
    *,
    manufacturer: str | bytes = "Acme",
    model: str | bytes = "Sun 9",
    version: str | bytes = "1.2",
    serial_number: str | bytes = "SN-77",
    base: int = 40000,
    padding: bytes = b"\0",
    end: Iterable[int] = _END,
) -> Registers:
    """Return the registers of a `SimulatedUnit` with the common model and these models, in this order.

    Args:
        models: the models behind the common one.
        manufacturer: up to 32 characters, as the others; bytes are taken as they are.
        model: up to 32.
        version: up to 16.
        serial_number: up to 32.
        base: where the marker is: 40000, 50000 or 0.
        padding: what fills the texts up: NULs, as specified, or what erased memory holds (`ff`), or blanks.
        end: the registers behind the last model: the end model, or what some devices have there, such as a single 0.
    """
    fill = partial(_text, padding=padding)
    texts = [*fill(16, manufacturer), *fill(16, model), *fill(8, ""), *fill(8, version), *fill(16, serial_number)]
    common = SunSpecModel(1, _COMMON_LENGTH, dict(enumerate(texts, start=2)))
    words = [*_MARKER, *(word for each in (common, *models) for word in each), *end]
    return {Table.HOLDING_REGISTERS: dict(enumerate(words, start=base))}


def _text(words: int, content: str | bytes, padding: bytes) -> list[int]:
    given = content.encode("utf-8") if isinstance(content, str) else content
    raw = (given + padding * 2 * words)[: 2 * words]
    return [int.from_bytes(raw[at : at + 2]) for at in range(0, 2 * words, 2)]
