"""Find the models of a SunSpec device: yield the requests and receive the responses. Pure.

Source: SunSpec Device Information Model Specification V1.1, sections on the Modbus map and the common model. A device whose chain
of models does not keep to it is followed as far as it is unambiguous (`model_chain.py`).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass

from adapters.modbus.client.pdu import ReadRequest, Request, Response, Table
from adapters.modbus.discovery.model_chain import follow_chain
from adapters.modbus.profile.points import Encoding, ValueType
from adapters.modbus.profile.sunspec_layout import NO_MODELS, SunSpecLayout
from adapters.modbus.profile.values import decode_one

BASES = (40000, 50000, 0)
"""The addresses where the marker may be, the preferred one first."""

MARKER = b"SunS"
COMMON_MODEL = 1

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
    problem: str | None = None
    """Where its chain of models is not as specified, for a person."""


def find_models() -> Generator[Request, Response, SunSpecDevice | None]:
    """Find the marker and follow the chain of models to its end; return `None` for a device without the marker."""
    for base in BASES:
        answer = yield ReadRequest(Table.HOLDING, base, 2)
        if answer == MARKER:
            chain = yield from follow_chain(base + 2)
            texts = yield from _common(chain.models)
            return SunSpecDevice(models=chain.models, problem=chain.problem, **texts)
    return None


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
