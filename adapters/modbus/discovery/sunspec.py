"""Find the models of a SunSpec device: yield the requests and receive the responses. Pure.

Source: SunSpec Device Information Model Specification V1.1, sections on the Modbus map and the common model.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass

from adapters.modbus.client.pdu import ADDRESSES, ReadRequest, Request, Response, Table
from adapters.modbus.profile.points import Encoding, ValueType
from adapters.modbus.profile.sunspec_layout import NO_MODELS, PlacedModel, SunSpecLayout
from adapters.modbus.profile.values import decode_one

BASES = (40000, 50000, 0)
"""The addresses where the marker may be, the preferred one first."""

MARKER = b"SunS"
COMMON_MODEL = 1
END_MODEL = 0xFFFF

MODELS_BOUND = 64
"""The longest chain that is followed: a longer one belongs to a device that answers nonsense."""

_COMMON: Mapping[str, tuple[int, int]] = {
    "manufacturer": (2, 16),
    "model": (18, 16),
    "version": (42, 8),
    "serial_number": (50, 16),
}
"""The texts of the common model: register (the model's id is register 0) and length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SunSpecDevice:
    """The common model of a SunSpec device, and its layout."""

    manufacturer: str | None = None
    model: str | None = None
    version: str | None = None
    serial_number: str | None = None
    models: SunSpecLayout = NO_MODELS


def find_models() -> Generator[Request, Response, SunSpecDevice | None]:
    """Find the marker and follow the chain of models to its end; return `None` for a device without the marker."""
    for base in BASES:
        answer = yield ReadRequest(Table.HOLDING, base, 2)
        if answer == MARKER:
            models = yield from _chain(base + 2)
            texts = yield from _common(models)
            return SunSpecDevice(models=models, **texts)
    return None


def _chain(address: int) -> Generator[Request, Response, SunSpecLayout]:
    models: list[PlacedModel] = []
    while len(models) < MODELS_BOUND and address <= ADDRESSES - 2:
        answer = yield ReadRequest(Table.HOLDING, address, 2)
        if not isinstance(answer, bytes):
            break
        model = PlacedModel(int.from_bytes(answer[:2]), address, int.from_bytes(answer[2:]))
        if model.id == END_MODEL or model.length == 0:
            break
        models.append(model)
        address += model.words
    return SunSpecLayout(tuple(models))


def _common(models: SunSpecLayout) -> Generator[Request, Response, dict[str, str | None]]:
    texts: dict[str, str | None] = {}
    common = models.of([COMMON_MODEL])
    for name, (register, length) in _COMMON.items() if common else ():
        if register + length > common[0].words:
            continue
        answer = yield ReadRequest(Table.HOLDING, common[0].address + register, length)
        value = decode_one(Encoding(type=ValueType.STRING, words=length), answer) if isinstance(answer, bytes) else None
        texts[name] = None if value is None else str(value)
    return texts
