"""Connect to devices, and pair first those that the config wants paired: once, and again when the device has lost the pairing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pydantic import SecretStr

from adapters.ble.radio import pairing
from adapters.ble.radio.connection import GattConnection
from adapters.ble.radio.pairing import PairingFailed
from gateway.adapter import Cause, DeviceUnreachable, loop_time

log = logging.getLogger(__name__)

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 60.0, 3600.0
"""The wait after a failed pairing, which doubles each time: devices lock themselves after some wrong passkeys."""

MOST_DOUBLINGS = 10

RENEWALS_AT_ONCE = 2
"""So many lost pairings are renewed at once; the next ones are after a wait, which doubles each time."""

FORGIVEN_SECONDS = 86400.0
"""A device that kept its pairing for so long is one that lost none."""

CONNECT_TRIES = 3
CONNECT_PAUSE_SECONDS = 0.5
"""A connection of a paired device that is broken off at once is tried so often: that happens by interference, too."""

BROKEN_VISITS = 2
"""So many visits in a row of which all connections were broken off show that a device has lost the pairing. A pairing that the
device still has must not be removed: many devices accept no second one."""

RECEIVED_AGAIN_SECONDS = 10.0
"""How long to wait for a device whose pairing was removed: bluetoothd knows it again once it is received."""

KEY_MISSING = ("key-missing", "AuthenticationFailed", "NotPaired")
"""Parts of errors that only a device without the key of a pairing causes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairingWish:
    """The wish of the config to have a device paired."""

    key: str
    """Its child address, which stays the same when its Bluetooth address changes."""
    label: str
    """Its name for a person."""
    passkey: SecretStr | None = None


class PairingImpossible(DeviceUnreachable):
    """A device cannot be paired although the config wants it: a person has to do something."""

    def __init__(self, text: str) -> None:
        super().__init__(text, cause=Cause.LOGIN_REFUSED)


class PairingRadio(Protocol):
    """The radio, as far as it is used here."""

    async def connect(self, address: str) -> GattConnection:
        """Connect to a device that was received, or raise `DeviceUnreachable`."""

    def bluez_path(self, address: str) -> str | None:
        """Return the path of a device that was received; `None` where bluetoothd is not used, or it was not received."""


@dataclass(slots=True)
class _Bond:
    """The history of the pairing of one device."""

    failures: int = 0
    problem: str | None = None
    try_again_at: float = 0.0
    broken_visits: int = 0
    is_renewed: bool = False
    """It was paired anew and has not been read since: a second time would not help."""
    renewals: int = 0
    """How often it was paired anew without a day in between."""
    renewed_at: float = float("-inf")
    told_at: float = float("-inf")
    """When the log last told that it was paired."""
    last: GattConnection | None = None
    """Its last connection, which knows whether the device wanted a pairing."""


class PairingConnector:
    """Opens connections for a pool.

    Args:
        radio: opens them, and knows where bluetoothd keeps a device.
        wish_of: returns whether and how the device at an address is to be paired.
    """

    def __init__(self, radio: PairingRadio, wish_of: Callable[[str], PairingWish | None]) -> None:
        self._radio = radio
        self._wish_of = wish_of
        self._bonds: dict[str, _Bond] = {}

    async def connect(self, address: str) -> GattConnection:
        """Connect to a device that was received, and pair it first where that is wanted.

        Raises:
            DeviceUnreachable: the pairing or the connection fails.
        """
        wish, path = self._wish_of(address), self._radio.bluez_path(address)
        if wish is None:
            return await self._connect_unpaired(address, path)
        if path is not None:
            return await self._connect_paired(address, path, wish)
        connection = await self._radio.connect(address)
        try:
            await connection.pair()
        except DeviceUnreachable:
            await connection.close()
            raise
        return connection

    async def _connect_unpaired(self, address: str, path: str | None) -> GattConnection:
        """Connect to a device that is not to be paired; it may be paired, by hand, and have lost that."""
        try:
            return await self._radio.connect(address)
        except DeviceUnreachable as error:
            if path is None or not await pairing.is_paired(path):
                raise
            text = f"{error}; this machine is paired with it: if it was reset, {by_hand(path)}"
            raise DeviceUnreachable(text, cause=Cause.LOGIN_REFUSED, next_step=f"If it was reset, {by_hand(path)}") from error

    async def _connect_paired(self, address: str, path: str, wish: PairingWish) -> GattConnection:
        bond, is_connected = self._bonds.setdefault(wish.key, _Bond()), False
        is_paired = await pairing.is_paired(path)
        if not is_paired:
            _check_wait(bond)
        try:
            await self._ensure_paired(path, wish, bond, is_paired=bool(is_paired))
            bond.last = await self._radio.connect(address)
            is_connected = True
        finally:
            if not is_connected:  # bluetoothd keeps what was connected to be paired, and such a device does not advertise
                await pairing.disconnect(path)
        return bond.last

    async def _ensure_paired(self, path: str, wish: PairingWish, bond: _Bond, *, is_paired: bool) -> None:
        if is_paired and not await self._is_lost(path, wish, bond):
            return
        _check_wait(bond)
        try:
            if is_paired:
                await self._remove(path, wish, bond)
            await pairing.pair(path, wish.passkey)
        except PairingFailed as error:
            raise self._failed(wish, bond, str(error)) from error
        if bond.is_renewed or loop_time() - bond.told_at >= FORGIVEN_SECONDS:  # some devices forget it with each connection
            bond.told_at = loop_time()
            log.info("%s: paired with this machine", wish.label)
        bond.failures, bond.problem, bond.broken_visits, bond.last = 0, None, 0, None

    async def _is_lost(self, path: str, wish: PairingWish, bond: _Bond) -> bool:
        """Return whether the device does not know the pairing any more that this machine remembers.

        Raises:
            DeviceUnreachable: it cannot be connected to, for another reason.
        """
        if bond.last is not None and bond.last.wants_pairing is not None and not bond.is_renewed:
            return True  # where it refuses after a new pairing, too, this pairing is not what it wants
        for attempt in range(CONNECT_TRIES):
            try:
                error = await pairing.connect_error(path)
            except PairingFailed as problem:
                raise DeviceUnreachable(str(problem), cause=Cause.BLUETOOTH_DOWN) from problem
            if error is None:
                bond.broken_visits = 0
                return False
            if any(part in error for part in KEY_MISSING):
                return True
            if error != pairing.BROKEN_OFF:
                raise DeviceUnreachable(f"{wish.label} accepts no connection: {error}", cause=Cause.NO_ANSWER)
            if attempt + 1 < CONNECT_TRIES:
                await asyncio.sleep(CONNECT_PAUSE_SECONDS)
        bond.broken_visits += 1
        if bond.broken_visits < BROKEN_VISITS:
            text = f"{wish.label}: {error}; if it was reset, it is paired anew at the next attempt"
            raise DeviceUnreachable(text, cause=Cause.LOGIN_REFUSED)
        return True

    async def _remove(self, path: str, wish: PairingWish, bond: _Bond) -> None:
        """Remove a pairing that the device has lost, once, and wait until bluetoothd knows the device again."""
        if bond.is_renewed:
            raise PairingFailed(f"it was paired anew, and does not know that: {by_hand(path)}")
        if loop_time() - bond.renewed_at >= FORGIVEN_SECONDS:
            bond.renewals = 0
        doublings = bond.renewals - RENEWALS_AT_ONCE
        wait = 0.0 if doublings < 0 else min(FIRST_WAIT_SECONDS * 2 ** min(doublings, MOST_DOUBLINGS), LONGEST_WAIT_SECONDS)
        if loop_time() < bond.renewed_at + wait:
            raise PairingImpossible(
                f"{wish.label} loses its pairing again and again, {bond.renewals} times by now: it is paired anew less often"
            )
        bond.renewals, bond.renewed_at = bond.renewals + 1, loop_time()
        log.warning("%s: it does not know its pairing any more, so it was reset; it is paired anew", wish.label)
        bond.is_renewed = True
        await pairing.remove(path)
        ends_at = loop_time() + RECEIVED_AGAIN_SECONDS
        while await pairing.is_paired(path) is None:
            if loop_time() >= ends_at:
                raise PairingFailed("its lost pairing was removed, and it is not received since")
            await asyncio.sleep(CONNECT_PAUSE_SECONDS)

    def _failed(self, wish: PairingWish, bond: _Bond, reason: str) -> PairingImpossible:
        """Note a failed pairing, log it once, and return the error."""
        problem = f"{wish.label} cannot be paired: {reason}"
        if problem != bond.problem:
            log.warning("%s; it is tried again, less and less often", problem)
        wait = min(FIRST_WAIT_SECONDS * 2 ** min(bond.failures, MOST_DOUBLINGS), LONGEST_WAIT_SECONDS)
        bond.problem, bond.failures, bond.try_again_at = problem, bond.failures + 1, loop_time() + wait
        return PairingImpossible(problem)

    def note_read(self, address: str) -> None:
        """Note that a device was read: a pairing that is lost later can be renewed, and earlier failures are forgotten."""
        wish = self._wish_of(address)
        if wish is not None and (bond := self._bonds.get(wish.key)) is not None:
            bond.is_renewed, bond.failures, bond.problem = False, 0, None


def _check_wait(bond: _Bond) -> None:
    """Raise the problem of the last pairing, while it is too early for another one."""
    if bond.problem is not None and loop_time() < bond.try_again_at:
        raise PairingImpossible(bond.problem)


def by_hand(path: str) -> str:
    """Return how a person pairs the device at this path again, whatever is remembered of it."""
    address = path.rpartition("/dev_")[2].replace("_", ":")
    return f"pair it again: bluetoothctl remove {address}, then bluetoothctl pair {address}"
