"""Read the case folder of a Bluetooth profile: what a device advertises and answers, and what must be made of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.advertisements.toml_types import Uuid, hex_bytes
from adapters.ble.profile.read_plan import CharacteristicPath, ServiceTable
from gateway.adapter import CaseDevice, CaseExpected, CaseTable, Value, case_values, read_case_files, table_check

ADDRESS = "A4:C1:38:01:02:03"
"""The address of the device of every case."""

TEXT = "text:"
"""The beginning of a payload that is written as text."""

COMPANIES = 0x10000


def _company(text: str) -> str:
    if not text.isdecimal() or int(text) >= COMPANIES:
        raise ValueError(f"{text!r} is no company id: write its decimal number, such as 2917")
    return text


def _hex(text: str) -> str:
    hex_bytes(text)
    return text


def _payload(text: str) -> str:
    return text if text.startswith(TEXT) else _hex(text)


def _with_payload(written: object) -> object:
    return {"payload": written} if isinstance(written, str) else written


Hex: TypeAlias = Annotated[str, AfterValidator(_hex)]
Payload: TypeAlias = Annotated[str, AfterValidator(_payload)]
Use = Literal["read", "write", "write-without-response", "notify", "indicate"]


class AdvertisementTable(CaseTable):
    """What the device advertises."""

    name: str | None = None
    manufacturer_data: dict[Annotated[str, AfterValidator(_company)], Hex] = Field(
        default_factory=dict, description="company id -> its bytes"
    )
    service_data: dict[Uuid, Hex] = Field(default_factory=dict, description="service -> its bytes")
    service_uuids: tuple[Uuid, ...] = ()

    @property
    def received(self) -> Advertisement:
        """The advertisement as a radio receives it."""
        return Advertisement(
            address=ADDRESS,
            name=self.name,
            manufacturer_data={int(company): bytes.fromhex(data) for company, data in self.manufacturer_data.items()},
            service_data={service: bytes.fromhex(data) for service, data in self.service_data.items()},
            service_uuids=self.service_uuids,
        )


class CharacteristicTable(CaseTable):
    """A characteristic of the device."""

    uses: tuple[Use, ...] = Field(default=("read",), description="what it allows")
    payload: Payload | None = Field(
        default=None, description="the bytes that it tells, or `text:` and a text; left out: it tells nothing"
    )


Characteristics: TypeAlias = dict[
    Uuid, Annotated[CharacteristicTable, BeforeValidator(_with_payload, json_schema_input_type=Payload | CharacteristicTable)]
]


class DeviceFile(CaseDevice):
    """`device.toml`."""

    advertisement: AdvertisementTable | None = Field(default=None, description="what it advertises")
    services: dict[Uuid, Characteristics] = Field(description="service -> its characteristics, with the bytes of each")
    answers: dict[str, Payload] = Field(default_factory=dict, description="request of the profile -> the bytes that follow it")

    @table_check
    def _can_be_found(self) -> Iterator[str]:
        if self.advertisement is None and not self.configured:
            yield "`advertisement` is missing: write it, or `configured = true` for a device that a person names"


class DeviceFacts(CaseTable):
    """What the device tells of itself; all that it tells."""

    manufacturer: str | None = None
    model: str | None = None
    sub_model: str | None = None
    serial_number: str | None = None
    firmware_version: str | None = None
    hardware_version: str | None = None
    software_version: str | None = None


class CaseCommand(CaseTable):
    """A command, the bytes that it writes, and what the device shows when it obeyed and when it did not."""

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    writes: Hex
    obeyed: Hex | None = Field(default=None, description="what is read or notified after the device obeyed")
    refused: Hex | None = Field(default=None, description="the same after it did not")


class ExpectedFile(CaseExpected):
    """`expected.toml`."""

    facts: DeviceFacts
    writes: tuple[str, ...] = Field(default=(), description="each write before the values are read: `2a06: 01`")
    subscribed: tuple[str, ...] = Field(default=(), description="the characteristics that are subscribed to, in order")
    commands: tuple[CaseCommand, ...] = ()


@dataclass(frozen=True)
class Case:
    """A case folder: the device in memory, and what is expected of it."""

    profile: str
    origin: str
    advertisement: Advertisement | None
    """`None` for a device that a person names in the configuration."""
    services: ServiceTable
    payloads: Mapping[CharacteristicPath, bytes]
    """What each characteristic tells; one that tells nothing is missing."""
    answers: Mapping[str, bytes]
    """The name of a request -> what the device sends after it, as it was captured."""
    facts: Mapping[str, Value]
    readings: Mapping[str, Value]
    writes: tuple[str, ...]
    subscribed: tuple[str, ...]
    commands: tuple[CaseCommand, ...]


def read_case(folder: Path) -> Case:
    """Return the case in a folder, whose parent has the name of the profile.

    Raises:
        ProfileProblems: a file of it is missing or has mistakes; the text lists those of both files.
    """
    device, expected = read_case_files(folder, DeviceFile, ExpectedFile)
    characteristics = list(_characteristics(device))
    is_heard = device.advertisement is not None and not device.configured
    return Case(
        profile=folder.absolute().parent.name,
        origin=device.origin,
        advertisement=device.advertisement.received if is_heard and device.advertisement is not None else None,
        services=_services(device.services, characteristics),
        payloads={path: _as_bytes(one.payload) for path, one in characteristics if one.payload is not None},
        answers={request: _as_bytes(written) for request, written in device.answers.items()},
        facts=expected.facts.model_dump(exclude_none=True),
        readings=case_values(expected.readings),
        writes=expected.writes,
        subscribed=expected.subscribed,
        commands=expected.commands,
    )


def _characteristics(device: DeviceFile) -> Iterator[tuple[CharacteristicPath, CharacteristicTable]]:
    for service, characteristics in device.services.items():
        for uuid, characteristic in characteristics.items():
            yield CharacteristicPath(service, uuid), characteristic


def _services(names: Iterable[str], characteristics: Iterable[tuple[CharacteristicPath, CharacteristicTable]]) -> ServiceTable:
    services: dict[str, dict[str, frozenset[str]]] = {name: {} for name in names}
    for path, characteristic in characteristics:
        services[path.service][path.characteristic] = frozenset(characteristic.uses)
    return services


def _as_bytes(written: str) -> bytes:
    return written.removeprefix(TEXT).encode() if written.startswith(TEXT) else bytes.fromhex(written)
