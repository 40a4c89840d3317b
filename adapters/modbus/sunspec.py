"""Where the models of a SunSpec device are. Nothing here waits: it yields what to ask and is sent what was answered.

Source: SunSpec Device Information Model Specification V1.1, sections on the Modbus map and the common model.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

from adapters.modbus.pdu import ADDRESSES, Answer, Question, Read, Table
from adapters.modbus.points import Encoding, ValueType
from adapters.modbus.values import decode_one

BASES = (40000, 50000, 0)
"""Where the marker may be, the preferred one first."""

MARKER = b"SunS"
COMMON_MODEL = 1
END_MODEL = 0xFFFF

MODELS_BOUND = 64
"""Nobody has so many models: a longer chain is a device that answers nonsense."""

_COMMON: Mapping[str, tuple[int, int]] = {
    "manufacturer": (2, 16),
    "model": (18, 16),
    "version": (42, 8),
    "serial_number": (50, 16),
}
"""Texts of the common model: register (the model's id is register 0) and length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SunSpec:
    """What a SunSpec device tells of itself."""

    manufacturer: str | None = None
    model: str | None = None
    version: str | None = None
    serial_number: str | None = None
    models: Mapping[int, int] = field(default_factory=dict)
    """Model id -> address of that id, for the first model with the id."""


def walk() -> Generator[Question, Answer, SunSpec | None]:
    """Find the marker and follow the chain of models to its end; return `None` for a device without the marker."""
    for base in BASES:
        answer = yield Read(Table.HOLDING, base, 2)
        if answer == MARKER:
            models = yield from _chain(base + 2)
            texts = yield from _common(models)
            return SunSpec(models=models, **texts)
    return None


def _chain(address: int) -> Generator[Question, Answer, dict[int, int]]:
    models: dict[int, int] = {}
    for _ in range(MODELS_BOUND):
        if address > ADDRESSES - 2:
            break
        answer = yield Read(Table.HOLDING, address, 2)
        if not isinstance(answer, bytes):
            break
        model, length = int.from_bytes(answer[:2]), int.from_bytes(answer[2:])
        if model == END_MODEL or (model, length) == (0, 0):
            break
        models.setdefault(model, address)
        address += 2 + length
    return models


def _common(models: Mapping[int, int]) -> Generator[Question, Answer, dict[str, str | None]]:
    texts: dict[str, str | None] = {}
    base = models.get(COMMON_MODEL, ADDRESSES)
    for name, (register, length) in _COMMON.items() if base + 66 < ADDRESSES else ():
        answer = yield Read(Table.HOLDING, base + register, length)
        value = decode_one(Encoding(type=ValueType.STRING, words=length), answer) if isinstance(answer, bytes) else None
        texts[name] = None if value is None else str(value)
    return texts
