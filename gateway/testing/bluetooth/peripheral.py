"""A Bluetooth LE device that is around: what it advertises, what it offers, and what goes wrong with it. Nothing here waits."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, Self, TypeAlias, TypedDict, TypeVar, Unpack, overload

from gateway.testing.bluetooth.advertisement import GENERAL_DISCOVERABLE, AddressType, Advertisement
from gateway.testing.bluetooth.dbus_errors import Refusal
from gateway.testing.bluetooth.gatt import Characteristic, Payload, Service, full_uuid, payload_at

Clock: TypeAlias = Callable[[], float]
"""Tells seconds, from wherever it likes."""

_ADDRESS = re.compile(r"[0-9A-F]{2}(?::[0-9A-F]{2}){5}")
_Given = TypeVar("_Given", contravariant=True)
_Shown = TypeVar("_Shown", covariant=True)
_Same = TypeVar("_Same")


class Changes(TypedDict, total=False):
    """What a peripheral can advertise anew."""

    name: str | None
    manufacturer_data: Mapping[int, Payload]
    service_data: Mapping[str, Payload]
    service_uuids: Iterable[str | int]
    tx_power: int | None
    rssi: int


@dataclass(slots=True, kw_only=True)
class Faults:
    """What goes wrong with a peripheral at present; change it while it runs. Numbers run down to 0 as they come true."""

    aborted_connects: int = 0
    """How many connections still break off while they are made (`le-connection-abort-by-local`)."""
    refused_connects: Refusal | None = None
    """Every connection attempt is answered with this."""
    busy_connects: int = 0
    """How many connection attempts are still answered with InProgress."""
    busy_answers: int = 0
    """How many reads and writes are still answered with InProgress."""
    lost_discoveries: int = 0
    """How many connections are still lost while the services are looked for."""
    lost_reads: int = 0
    """How many reads still end in a lost link instead of an answer."""
    is_silent: bool = False
    """It keeps the link and answers nothing that is asked over it."""
    refuses_pairing: bool = False
    connect_seconds: float = 0
    """How long a connection takes to be made."""
    answer_seconds: float = 0
    """How long each answer takes."""


class _Advertised(Generic[_Given, _Shown]):
    """Something that makes its peripheral advertise when it is assigned to."""

    def __init__(self, shown: Callable[[_Given], _Shown]) -> None:
        self._shown = shown
        """Brings what is assigned into its final form."""

    def __set_name__(self, owner: type[Peripheral], name: str) -> None:
        self._attribute = f"_{name}"

    @overload
    def __get__(self, peripheral: None, owner: type[Peripheral]) -> Self: ...
    @overload
    def __get__(self, peripheral: Peripheral, owner: type[Peripheral]) -> _Shown: ...
    def __get__(self, peripheral: Peripheral | None, owner: type[Peripheral]) -> Self | _Shown:
        if peripheral is None:
            return self
        shown: _Shown = getattr(peripheral, self._attribute)
        return shown

    def __set__(self, peripheral: Peripheral, given: _Given) -> None:
        setattr(peripheral, self._attribute, self._shown(given))
        peripheral.advertise()


def _as_given(given: _Same) -> _Same:
    return given


def _by_company(given: Mapping[int, Payload]) -> Mapping[int, Payload]:
    return MappingProxyType({**given})


def _by_uuid(given: Mapping[str, Payload]) -> Mapping[str, Payload]:
    return MappingProxyType({full_uuid(uuid): said for uuid, said in given.items()})


def _uuids(given: Iterable[str | int]) -> tuple[str, ...]:
    return tuple(map(full_uuid, given))


class Peripheral:
    """A device that advertises and, where it has services, can be connected to.

    Args:
        address: `AA:BB:CC:DD:EE:FF`.
        address_type: public or random.
        name: as advertised; many devices have none.
        manufacturer_data: by company id; bytes, or functions of the seconds since the peripheral was switched on.
        service_data: by UUID, long or short; bytes or functions, too.
        service_uuids: what it says it offers; need not be all that it has.
        tx_power: in dBm, if it tells.
        rssi: how strongly it is heard, in dBm.
        services: what is found once it is connected.
        advertises_every: in seconds; `None` if only `advertise` or a change makes it advertise.
        advertises_while_connected: most devices fall silent then.
        name_on_request: its name is in the scan response, which a passive scan does not ask for.
        flags: of the advertisement.
        mtu: how many bytes go in one packet of a connection.
        clock: where functions get their seconds from; second 0 is now.

    Assigning to what is advertised makes it advertise at once; `advertise` changes several things in one go.

    Raises:
        ValueError: the address or a UUID is none.
    """

    name: _Advertised[str | None, str | None] = _Advertised(_as_given)
    manufacturer_data = _Advertised(_by_company)
    service_data = _Advertised(_by_uuid)
    service_uuids = _Advertised(_uuids)
    tx_power: _Advertised[int | None, int | None] = _Advertised(_as_given)
    rssi: _Advertised[int, int] = _Advertised(_as_given)

    def __init__(
        self,
        address: str,
        *,
        address_type: AddressType = "public",
        name: str | None = None,
        manufacturer_data: Mapping[int, Payload] = MappingProxyType({}),
        service_data: Mapping[str, Payload] = MappingProxyType({}),
        service_uuids: Iterable[str | int] = (),
        tx_power: int | None = None,
        rssi: int = -60,
        services: Iterable[Service] = (),
        advertises_every: float | None = 0.1,
        advertises_while_connected: bool = False,
        name_on_request: bool = False,
        flags: int = GENERAL_DISCOVERABLE,
        mtu: int = 247,
        clock: Clock = time.monotonic,
    ) -> None:
        self.address = address.upper()
        if not _ADDRESS.fullmatch(self.address):
            raise ValueError(f"{address!r} is not a Bluetooth address")
        self.address_type: AddressType = address_type
        self.services = tuple(services)
        self.advertises_every = advertises_every
        self.advertises_while_connected = advertises_while_connected
        self.name_on_request = name_on_request
        self.flags = flags
        self.mtu = mtu
        self.faults = Faults()
        self.is_in_range = True
        self.is_paired = False
        self.connections = 0
        """How many connections were made to it so far."""
        self._clock = clock
        self._switched_on = clock()
        self._listeners: list[Callable[[Peripheral], None]] = []
        self._is_changing = True
        self._hang_up: Callable[[], None] | None = None
        self.name = name
        self.manufacturer_data = manufacturer_data
        self.service_data = service_data
        self.service_uuids = service_uuids
        self.tx_power = tx_power
        self.rssi = rssi
        self._is_changing = False

    def __repr__(self) -> str:
        return f"Peripheral({self.address}, {self.name!r})"

    @property
    def seconds(self) -> float:
        """How long it has been switched on."""
        return self._clock() - self._switched_on

    @property
    def is_connected(self) -> bool:
        """Somebody holds a link to it."""
        return self._hang_up is not None

    @property
    def is_advertising(self) -> bool:
        """Who listens now can hear it."""
        return self.is_in_range and (self.advertises_while_connected or not self.is_connected)

    def advertisement(self) -> Advertisement:
        """Return what it would say right now."""
        seconds = self.seconds
        return Advertisement(
            address=self.address,
            address_type=self.address_type,
            name=self.name,
            manufacturer_data={company: payload_at(said, seconds) for company, said in self.manufacturer_data.items()},
            service_data={uuid: payload_at(said, seconds) for uuid, said in self.service_data.items()},
            service_uuids=self.service_uuids,
            tx_power=self.tx_power,
            rssi=self.rssi,
            flags=self.flags,
        )

    def advertise(self, **changes: Unpack[Changes]) -> None:
        """Change what it says, if there is something to change, and say it once, if it can be heard."""
        if self._is_changing:
            return
        self._is_changing = True
        try:
            for name, said in changes.items():
                setattr(self, name, said)
        finally:
            self._is_changing = False
        if self.is_advertising:
            for hear in tuple(self._listeners):
                hear(self)

    def listen(self, hear: Callable[[Peripheral], None]) -> Callable[[], None]:
        """Have a function called with each advertisement; return a function that ends that."""
        self._listeners.append(hear)
        return lambda: self._listeners.remove(hear)

    def value(self, characteristic: Characteristic) -> bytes:
        """Return what a characteristic holds right now."""
        return payload_at(characteristic.value, self.seconds)

    def characteristic(self, uuid: str | int) -> Characteristic:
        """Return the first of its characteristics with that UUID.

        Raises:
            KeyError: it has none.
        """
        wanted = full_uuid(uuid)
        for service in self.services:
            for characteristic in service.characteristics:
                if characteristic.uuid == wanted:
                    return characteristic
        raise KeyError(wanted)

    def hang_up(self) -> None:
        """Drop the link, if there is one, as when somebody pulls the battery."""
        if self._hang_up is not None:
            self._hang_up()

    def go_out_of_range(self) -> None:
        """Be heard no more and lose the link."""
        self.is_in_range = False
        self.hang_up()

    def come_back(self) -> None:
        """Be heard again."""
        self.is_in_range = True
        self.advertise()

    def take_link(self, hang_up: Callable[[], None]) -> None:
        """Be connected from now on; for links only."""
        self._hang_up = hang_up
        self.connections += 1

    def give_link(self) -> None:
        """Be connected no more; for links only."""
        self._hang_up = None
