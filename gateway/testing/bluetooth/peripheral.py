"""Simulate a Bluetooth LE device: its advertisements, its services and its faults. Pure."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, Self, TypeAlias, TypedDict, TypeVar, Unpack, overload

from gateway.testing.bluetooth.advertisement import GENERAL_DISCOVERABLE, AddressType, Advertisement
from gateway.testing.bluetooth.dbus_errors import ErrorReply
from gateway.testing.bluetooth.gatt import Characteristic, Payload, Service, full_uuid, payload_at
from gateway.testing.bluetooth.pairing import Pairing

Clock: TypeAlias = Callable[[], float]
"""Returns a time in seconds."""

_ADDRESS = re.compile(r"[0-9A-F]{2}(?::[0-9A-F]{2}){5}")
_Assigned = TypeVar("_Assigned", contravariant=True)
_Stored = TypeVar("_Stored", covariant=True)
_Same = TypeVar("_Same")


class AdvertisedData(TypedDict, total=False):
    """The content of a peripheral's advertisements; a field that is missing has its default, or stays as it was.

    - `name`: many devices have none.
    - `manufacturer_data`: by company id; bytes, or functions of the seconds since the peripheral was switched on.
    - `service_data`: by UUID, full or short; bytes or functions, too.
    - `service_uuids`: the services that it advertises; need not be all that it has.
    - `tx_power`: in dBm; many devices send none.
    - `rssi`: its signal strength at the receiver, in dBm.
    - `flags`: the flags of the advertisement; `None` for none.
    """

    name: str | None
    manufacturer_data: Mapping[int, Payload]
    service_data: Mapping[str, Payload]
    service_uuids: Iterable[str | int]
    tx_power: int | None
    rssi: int
    flags: int | None


_DEFAULTS: AdvertisedData = {
    "name": None,
    "manufacturer_data": MappingProxyType({}),
    "service_data": MappingProxyType({}),
    "service_uuids": (),
    "tx_power": None,
    "rssi": -60,
    "flags": GENERAL_DISCOVERABLE,
}

_NO_DATA: AdvertisedData = {"manufacturer_data": MappingProxyType({}), "service_data": MappingProxyType({})}


@dataclass(slots=True, kw_only=True)
class PeripheralFaults:
    """The present faults of a peripheral; can be changed while it runs. Numbers count down to 0 as the faults occur."""

    aborted_connects: int = 0
    """The number of connections that still fail while they are established (`le-connection-abort-by-local`)."""
    connect_error: ErrorReply | None = None
    """Every connection attempt fails with this."""
    busy_connects: int = 0
    """The number of connection attempts that still fail with InProgress."""
    busy_answers: int = 0
    """The number of reads and writes that still fail with InProgress."""
    lost_discoveries: int = 0
    """The number of connections that are still lost during service discovery."""
    lost_reads: int = 0
    """The number of reads that still end in a lost connection instead of a response."""
    is_silent: bool = False
    """It keeps the connection and answers no request."""
    refuses_pairing: bool = False
    ignores_pairing: bool = False
    """It answers no request to pair."""
    keeps_its_bond: bool = False
    """While it is paired, it answers no request to pair again, as a host makes that has removed it."""
    connect_seconds: float = 0
    """The time to establish a connection."""
    answer_seconds: float = 0
    """The time until each response."""


class _AdvertisedField(Generic[_Assigned, _Stored]):
    """An attribute whose assignment makes its peripheral advertise."""

    def __init__(self, convert: Callable[[_Assigned], _Stored]) -> None:
        self._convert = convert

    def __set_name__(self, owner: type[Peripheral], name: str) -> None:
        self._attribute = f"_{name}"

    @overload
    def __get__(self, peripheral: None, owner: type[Peripheral]) -> Self: ...
    @overload
    def __get__(self, peripheral: Peripheral, owner: type[Peripheral]) -> _Stored: ...
    def __get__(self, peripheral: Peripheral | None, owner: type[Peripheral]) -> Self | _Stored:
        if peripheral is None:
            return self
        stored: _Stored = getattr(peripheral, self._attribute)
        return stored

    def __set__(self, peripheral: Peripheral, assigned: _Assigned) -> None:
        setattr(peripheral, self._attribute, self._convert(assigned))
        peripheral.advertise()


def _unchanged(assigned: _Same) -> _Same:
    return assigned


def _by_company(assigned: Mapping[int, Payload]) -> Mapping[int, Payload]:
    return MappingProxyType({**assigned})


def _by_uuid(assigned: Mapping[str, Payload]) -> Mapping[str, Payload]:
    return MappingProxyType({full_uuid(uuid): data for uuid, data in assigned.items()})


def _uuids(assigned: Iterable[str | int]) -> tuple[str, ...]:
    return tuple(map(full_uuid, assigned))


class Peripheral:
    """A device that advertises and, where it has services, can be connected to.

    Args:
        address: `AA:BB:CC:DD:EE:FF`.
        address_type: public or random.
        services: the services of its GATT server.
        advertises_every: in seconds; `None` if only `advertise` or a change makes it advertise.
        advertises_while_connected: most devices do not.
        name_on_request: its name is in the scan response, which a passive scan does not request.
        mtu: the number of bytes in one packet of a connection.
        clock: the time for payloads that are functions; second 0 is now.
        advertised: the content of its advertisements.

    Assigning to an advertised attribute makes it advertise at once; `advertise` changes several attributes together.

    Raises:
        ValueError: the address or a UUID is invalid.
    """

    name: _AdvertisedField[str | None, str | None] = _AdvertisedField(_unchanged)
    manufacturer_data = _AdvertisedField(_by_company)
    service_data = _AdvertisedField(_by_uuid)
    service_uuids = _AdvertisedField(_uuids)
    tx_power: _AdvertisedField[int | None, int | None] = _AdvertisedField(_unchanged)
    rssi: _AdvertisedField[int, int] = _AdvertisedField(_unchanged)
    flags: _AdvertisedField[int | None, int | None] = _AdvertisedField(_unchanged)

    def __init__(
        self,
        address: str,
        *,
        address_type: AddressType = "public",
        services: Iterable[Service] = (),
        advertises_every: float | None = 0.1,
        advertises_while_connected: bool = False,
        name_on_request: bool = False,
        mtu: int = 247,
        clock: Clock = time.monotonic,
        **advertised: Unpack[AdvertisedData],
    ) -> None:
        self.address = address.upper()
        if not _ADDRESS.fullmatch(self.address):
            raise ValueError(f"{address!r} is not a Bluetooth address")
        self.address_type: AddressType = address_type
        self.services = tuple(services)
        self.advertises_every = advertises_every
        self.advertises_while_connected = advertises_while_connected
        self.frames: Sequence[AdvertisedData] = ()
        """What it sends in turn, one with each advertisement that it sends by itself: many devices send their values, an iBeacon
        and other formats one after the other. Manufacturer and service data are only those of the frame; the rest stays."""
        self._next_frame = 0
        self.name_on_request = name_on_request
        self.mtu = mtu
        self.faults = PeripheralFaults()
        self.is_in_range = True
        self.pairing = Pairing()
        """How it pairs."""
        self.is_paired = False
        """It remembers a host; whether the host remembers it, is in `Controller.bonds`."""
        self.connections = 0
        """The number of connections so far."""
        self._clock = clock
        self._switched_on = clock()
        self._listeners: list[Callable[[Peripheral], None]] = []
        self._is_changing = True
        self._drop_connection: Callable[[], None] | None = None
        for field, value in (_DEFAULTS | advertised).items():
            setattr(self, field, value)
        self._is_changing = False

    def __repr__(self) -> str:
        return f"Peripheral({self.address}, {self.name!r})"

    @property
    def seconds(self) -> float:
        """The time since it was switched on."""
        return self._clock() - self._switched_on

    @property
    def is_connectable(self) -> bool:
        """Whether its advertisements offer a connection: those of a peripheral without services do not."""
        return bool(self.services)

    @property
    def is_connected(self) -> bool:
        """Whether a client is connected to it."""
        return self._drop_connection is not None

    @property
    def is_advertising(self) -> bool:
        """Whether a scanner in range receives it."""
        return self.is_in_range and (self.advertises_while_connected or not self.is_connected)

    def advertisement(self) -> Advertisement:
        """Return its present advertisement."""
        seconds = self.seconds
        return Advertisement(
            address=self.address,
            address_type=self.address_type,
            name=self.name,
            manufacturer_data={company: payload_at(data, seconds) for company, data in self.manufacturer_data.items()},
            service_data={uuid: payload_at(data, seconds) for uuid, data in self.service_data.items()},
            service_uuids=self.service_uuids,
            tx_power=self.tx_power,
            rssi=self.rssi,
            flags=self.flags,
        )

    def advertise(self, **changes: Unpack[AdvertisedData]) -> None:
        """Change the advertised data, if there are changes, and advertise once, unless it is connected or out of range.

        Without changes, a device that sends several frames in turn sends the next one.
        """
        if self._is_changing:
            return
        if self.frames and not changes:
            changes = _NO_DATA | self.frames[self._next_frame % len(self.frames)]
            self._next_frame += 1
        self._is_changing = True
        try:
            for name, value in changes.items():
                setattr(self, name, value)
        finally:
            self._is_changing = False
        if self.is_advertising:
            for on_advertisement in tuple(self._listeners):
                on_advertisement(self)

    def listen(self, on_advertisement: Callable[[Peripheral], None]) -> Callable[[], None]:
        """Call a function with each advertisement; return a function that ends that."""
        self._listeners.append(on_advertisement)
        return lambda: self._listeners.remove(on_advertisement)

    def value(self, characteristic: Characteristic) -> bytes:
        """Return the present value of a characteristic."""
        return payload_at(characteristic.value, self.seconds)

    def characteristic(self, uuid: str | int) -> Characteristic:
        """Return the first of its characteristics with that UUID.

        Raises:
            KeyError: it has no such characteristic.
        """
        wanted = full_uuid(uuid)
        for service in self.services:
            for characteristic in service.characteristics:
                if characteristic.uuid == wanted:
                    return characteristic
        raise KeyError(wanted)

    def drop_connection(self) -> None:
        """Drop the connection, if there is one, as if the battery had been removed."""
        if self._drop_connection is not None:
            self._drop_connection()

    def reset(self) -> None:
        """Forget the host that it was paired with, without the host's knowledge, and lose the connection."""
        self.is_paired = False
        self.drop_connection()

    def go_out_of_range(self) -> None:
        """Go out of range, which loses the connection."""
        self.is_in_range = False
        self.drop_connection()

    def come_back(self) -> None:
        """Come back into range and advertise."""
        self.is_in_range = True
        self.advertise()

    def connected(self, drop_connection: Callable[[], None]) -> None:
        """Note that a client is connected; for connections only."""
        self._drop_connection = drop_connection
        self.connections += 1

    def disconnected(self) -> None:
        """Note that the client is disconnected; for connections only."""
        self._drop_connection = None
