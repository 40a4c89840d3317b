"""Identify a device, read it or execute a command, each over one connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from adapters.ble.discovery.tracked_device import TrackedDevice
from adapters.ble.profile.commands import PreparedCommand
from adapters.ble.profile.device_information import DeviceInformation, information_paths, parse_information
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.read_plan import CharacteristicPath, CharacteristicReader, ReadPlan, plan_reads
from adapters.ble.profile.setting_writes import prepare_settings
from adapters.ble.profile.special_formats import NotInPayload
from adapters.ble.profile.standard_services import profile_for
from adapters.ble.radio.connection import AttributeRefused, GattConnection
from adapters.ble.session.command_execution import read_back, run_command
from adapters.ble.session.connection_pool import ConnectionPool
from adapters.ble.session.device_settings import read_differing, write_settings
from gateway.adapter import (
    ChildDevice,
    CommandResult,
    DeviceUnreachable,
    OutcomeUnknown,
    Reading,
    SettingValue,
    Uplink,
    Value,
    WrittenSetting,
    loop_time,
)

FIRST_NOTIFICATION_SECONDS = 10.0
"""The longest wait for a first notification: a device with nothing new to send is not kept busy longer."""


class DeviceSessions:
    """The sessions with the devices of one radio."""

    def __init__(self, pool: ConnectionPool) -> None:
        self.uplink: Uplink | None = None
        """Receives the values that a device notifies between two reads."""
        self._pool = pool
        self._remarks: dict[str, Sequence[str]] = {}

    def remarks(self, child: ChildDevice) -> Sequence[str]:
        """Return what the child lacks and refuses, and the number of connections."""
        slots = f"{self._pool.used_slots} of {self._pool.slots} connections are in use"
        return [*self._remarks.get(child.key, ()), slots]

    async def identify(self, device: TrackedDevice) -> None:
        """Read the device information, and find a profile if none was known; the result or the failure is stored in `device`."""
        try:
            async with self._connected(device) as connection:
                device.profile = device.profile or profile_for(connection.services)
                device.set_information(await _read_information(connection, device.profile))
        except DeviceUnreachable as error:
            device.note_failed_connection(str(error))

    async def read(
        self, child: ChildDevice, device: TrackedDevice, profile: Profile, due: frozenset[str], readings: list[Reading]
    ) -> None:
        """Append the readings of the poll groups that are due to `readings`, as they arrive.

        Raises:
            DeviceUnreachable: the connection fails, or is lost in between.
        """
        async with self._connected(device, profile) as connection:
            plan = plan_reads(profile, due, connection.services)
            remarks = list(plan.remarks)
            await self._write_initially(connection, plan, remarks)
            first_values = [await self._subscribe(connection, reader, child, remarks) for reader in plan.subscriptions]
            for reader in plan.reads:
                readings += await self._read(connection, reader, child, remarks)
            for first_value in first_values:
                readings += await first_value()
            self._remarks[child.key] = remarks
        device.heard_at = loop_time()

    async def execute(
        self, child: ChildDevice, device: TrackedDevice, profile: Profile, prepared: PreparedCommand
    ) -> CommandResult:
        """Write a command once and return its result.

        Raises:
            CommandRejected: the device refused it or did something else.
            OutcomeUnknown: it was written, and nothing shows whether the device carried it out.
            DeviceUnreachable: the device was lost before anything was written.
        """
        async with self._connected(device, profile) as connection:
            return await run_command(connection, child.name, prepared)

    async def read_back(
        self, child: ChildDevice, device: TrackedDevice, profile: Profile, prepared: PreparedCommand
    ) -> CommandResult | None:
        """Return the result of a command if the device shows its effect now; `None` if not, or if nothing shows it.

        Raises:
            DeviceUnreachable: the device was lost.
        """
        if not prepared.is_read_back:
            return None
        async with self._connected(device, profile) as connection:
            return await read_back(connection, child.name, prepared)

    async def differing_settings(
        self, device: TrackedDevice, profile: Profile, config: Mapping[str, SettingValue]
    ) -> dict[str, Value]:
        """Return the settings that have another value on the device, with that value.

        Raises:
            CommandRejected: the profile has no such setting, or the device refuses to tell it.
            DeviceUnreachable: the device was lost.
        """
        settings = prepare_settings(profile, config)
        async with self._connected(device, profile) as connection:
            return await read_differing(connection, settings)

    async def configure(
        self, device: TrackedDevice, profile: Profile, config: Mapping[str, SettingValue]
    ) -> list[WrittenSetting]:
        """Write settings once and read them back, over one connection.

        Raises:
            CommandRejected: the profile has no such setting, or the device refused one or kept another value.
            OutcomeUnknown: the device was lost after one was sent.
            DeviceUnreachable: the device was lost before.
        """
        settings = prepare_settings(profile, config)
        async with self._connected(device, profile) as connection:
            return await write_settings(connection, settings)

    @asynccontextmanager
    async def _connected(self, device: TrackedDevice, profile: Profile | None = None) -> AsyncIterator[GattConnection]:
        keep = profile is not None and profile.connection.mode == "stay"
        try:
            async with self._pool.acquire(device.address, keep=keep) as connection:
                yield connection
        except (DeviceUnreachable, OutcomeUnknown):
            device.is_in_doubt = True
            raise
        device.is_in_doubt = False

    async def _write_initially(self, connection: GattConnection, plan: ReadPlan, remarks: list[str]) -> None:
        for one in plan.initial_writes:
            path = CharacteristicPath(one.service, one.characteristic)
            if path in connection.initialized:
                continue
            try:
                await connection.write(*path, one.payload, with_response=one.response)
            except AttributeRefused as error:
                remarks.append(str(error))
            else:
                connection.initialized.add(path)

    async def _subscribe(
        self, connection: GattConnection, reader: CharacteristicReader, child: ChildDevice, remarks: list[str]
    ) -> Callable[[], Awaitable[list[Reading]]]:
        """Subscribe, unless this connection is subscribed already, and return a function that waits for the first value."""
        first: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def on_value(payload: bytes) -> None:
            if not first.done() and not reader.is_event:
                first.set_result(payload)
            elif self.uplink is not None:
                self.uplink.heard(_decode(reader, payload, child, []))

        async def first_readings() -> list[Reading]:
            try:
                async with asyncio.timeout(FIRST_NOTIFICATION_SECONDS):
                    return _decode(reader, await first, child, remarks)
            except TimeoutError:
                remarks.append(f"{reader.path} sent no notification within {FIRST_NOTIFICATION_SECONDS:.0f} s")
                return []

        if reader.path not in connection.subscribed:
            try:
                await connection.subscribe(*reader.path, on_value)
            except AttributeRefused as error:
                remarks.append(str(error))
            else:
                connection.subscribed.add(reader.path)
                return _no_readings if reader.is_event else first_readings
        return _no_readings

    async def _read(
        self, connection: GattConnection, reader: CharacteristicReader, child: ChildDevice, remarks: list[str]
    ) -> list[Reading]:
        try:
            payload = await connection.read(*reader.path)
        except AttributeRefused as error:
            remarks.append(str(error))
            return []
        return _decode(reader, payload, child, remarks)


async def _no_readings() -> list[Reading]:
    return []


def _decode(reader: CharacteristicReader, payload: bytes, child: ChildDevice, remarks: list[str]) -> list[Reading]:
    try:
        return list(reader.decode(payload, child.key, datetime.now(UTC)))
    except NotInPayload as error:
        remarks.append(str(error))
        return []


async def _read_information(connection: GattConnection, profile: Profile | None) -> DeviceInformation:
    payloads: dict[CharacteristicPath, bytes] = {}
    for path in information_paths(profile, connection.services):
        try:
            payloads[path] = await connection.read(*path)
        except AttributeRefused:
            continue  # the device information may be incomplete
    return parse_information(profile, payloads)
