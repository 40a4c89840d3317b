"""Identify a device, read it or execute a command, each over one connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from adapters.ble.advertisements.special_formats import NotInPayload
from adapters.ble.discovery.tracked_device import TrackedDevice
from adapters.ble.profile.commands import PreparedCommand
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.read_plan import AnswerReader, CharacteristicPath, CharacteristicReader, ReadPlan, plan_reads
from adapters.ble.profile.setting_writes import prepare_settings
from adapters.ble.profile.standard_services import profile_for
from adapters.ble.radio.connection import AttributeRefused, GattConnection, PairingNeeded
from adapters.ble.session.answered_unpaired import AnsweredUnpaired
from adapters.ble.session.command_execution import read_back, run_command
from adapters.ble.session.connection_pool import ConnectionPool
from adapters.ble.session.device_settings import read_differing, write_settings
from adapters.ble.session.identification import confirm_profile, read_information
from adapters.ble.session.locked_characteristics import LockedCharacteristics
from adapters.ble.session.pairing_connector import PairingImpossible
from adapters.ble.session.requests import RequestUnanswered, ask
from gateway.adapter import (
    Cause,
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

log = logging.getLogger(__name__)

FIRST_NOTIFICATION_SECONDS = 10.0
"""The longest wait for a first notification: a device with nothing new to send is not kept busy longer."""


VISITS = 2
"""The connections of one read: a characteristic that waits for a pairing blocks the first, and is left out of the second."""


class DeviceSessions:
    """The sessions with the devices of one radio.

    Args:
        pool: opens the connections.
        on_read: called with the address of each device that was read.
        memory: returns what the adapter remembers over a restart.
        library: returns all profiles: what a device answers may show that it has another one than it seems.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        on_read: Callable[[str], None] = lambda address: None,
        memory: Callable[[], MutableMapping[str, str]] | None = None,
        library: Callable[[], Iterable[Profile]] = tuple,
    ) -> None:
        forgotten: dict[str, str] = {}
        self._unpaired = AnsweredUnpaired(memory or (lambda: forgotten))
        self.uplink: Uplink | None = None
        """Receives the values that a device notifies between two reads."""
        self._pool = pool
        self._library = library
        self._remarks: dict[str, Sequence[str]] = {}
        self._on_read = on_read
        self._locked = LockedCharacteristics()
        self._answers: dict[str, dict[CharacteristicPath, str | None]] = {}
        """The last answer to each characteristic of each child, by its key: why it refused it, `None` for a value."""

    def remarks(self, child: ChildDevice) -> Sequence[str]:
        """Return what the child lacks and refuses, and the number of connections."""
        slots = f"{self._pool.used_slots} of {self._pool.slots} connections are in use"
        return [*self._remarks.get(child.key, ()), slots]

    def why_no_values(self, child: ChildDevice) -> str | None:
        """Return that a child refuses all of its characteristics, if so."""
        answers = self._answers.get(child.key, {})
        refusals = [text for text in answers.values() if text is not None]
        if not refusals or len(refusals) < len(answers):
            return None
        return f"it accepts the connection, and refuses everything that is read: {', '.join(dict.fromkeys(refusals))}"

    async def identify(self, device: TrackedDevice) -> None:
        """Read the device information, and find a profile if none was known; the result or the failure is stored in `device`."""
        try:
            async with self._connected(device) as connection:
                device.profile = device.profile or profile_for(connection.services)
                doubt = await confirm_profile(connection, device, self._library())
                told = await read_information(connection, device, self._unpaired)
                device.needs = doubt or told.needs
                device.set_information(told.information)
                await self._note_unpaired(connection, device.key, told.answered)
        except DeviceUnreachable as error:
            device.needs = str(error) if isinstance(error, PairingImpossible) else device.needs
            device.note_failed_connection(error)

    async def read(
        self, child: ChildDevice, device: TrackedDevice, profile: Profile, due: frozenset[str], readings: list[Reading]
    ) -> None:
        """Append the readings of the poll groups that are due to `readings`, as they arrive.

        Raises:
            DeviceUnreachable: the connection fails, or is lost in between.
        """
        remarks: list[str] = []
        done: set[CharacteristicPath] = set()
        began_at = loop_time()
        for _ in range(VISITS):
            async with self._connected(device, profile) as connection:
                plan = plan_reads(profile, due, connection.services)
                locked = await self._locked.of(child.key, connection, began_at)
                remarks += (*plan.remarks, *locked.values())
                await self._read_plan(connection, child, plan.without({*locked, *done}), readings, remarks, done)
                answers = self._answers.get(child.key, {})
                await self._note_unpaired(connection, child.key, [path for path in done if answers.get(path, "never") is None])
            if not connection.is_blocked:
                break
        self._remarks[child.key] = list(dict.fromkeys(remarks))
        device.heard_at = loop_time()
        hint = self._locked.hint_of(child.key)
        if hint is not None and not readings:
            device.is_in_doubt = True
            raise DeviceUnreachable(hint, cause=Cause.LOGIN_REFUSED)
        device.needs = hint
        if hint is None:
            self._on_read(device.address)

    async def _read_plan(
        self,
        connection: GattConnection,
        child: ChildDevice,
        plan: ReadPlan,
        readings: list[Reading],
        remarks: list[str],
        done: set[CharacteristicPath],
    ) -> None:
        """Carry out a plan, until one characteristic blocks the connection; add what was read to `done`."""
        await self._write_initially(connection, plan, remarks)
        first_values = [
            await self._subscribe(connection, reader, child, remarks)
            for reader in plan.subscriptions
            if not connection.is_blocked
        ]
        for reader in plan.reads:
            if not connection.is_blocked:
                done.add(reader.path)
                readings += await self._read(connection, reader, child, remarks)
        if not connection.is_blocked:
            for first_value in first_values:
                readings += await first_value()
        unanswered = [await self._ask(connection, reader, child, readings, remarks) for reader in plan.answers]
        done.update(reader.path for reader in plan.answers)
        if not readings and (silence := next(filter(None, unanswered), None)) is not None:
            raise DeviceUnreachable(f"it accepts the connection, and does not answer: {silence}", cause=Cause.NO_ANSWER)

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
                self._note_refusal(child, reader, error, remarks)
            else:
                connection.subscribed.add(reader.path)
                self._note_answer(child, reader)
                return _no_readings if reader.is_event else first_readings
        return _no_readings

    async def _read(
        self, connection: GattConnection, reader: CharacteristicReader, child: ChildDevice, remarks: list[str]
    ) -> list[Reading]:
        try:
            payload = await connection.read(*reader.path)
        except AttributeRefused as error:
            self._note_refusal(child, reader, error, remarks)
            return []
        self._note_answer(child, reader)
        return _decode(reader, payload, child, remarks)

    async def _ask(
        self,
        connection: GattConnection,
        reader: AnswerReader,
        child: ChildDevice,
        readings: list[Reading],
        remarks: list[str],
    ) -> str | None:
        """Append the readings in the answer to a request, and return why there was none; `None` for an answer or a refusal."""
        if connection.is_blocked:
            return None
        try:
            content = await ask(connection, reader.request)
        except AttributeRefused as error:
            self._note_refusal(child, reader, error, remarks)
            return None
        except RequestUnanswered as error:
            remarks.append(str(error))
            return None if error.is_refusal else str(error)
        self._note_answer(child, reader)
        readings += _decode(reader, content, child, remarks)
        return None

    def _note_answer(self, child: ChildDevice, reader: CharacteristicReader) -> None:
        self._answers.setdefault(child.key, {})[reader.path] = None
        self._locked.note_answer(child.key, reader.path)

    async def _note_unpaired(self, connection: GattConnection, key: str, answered: Collection[CharacteristicPath]) -> None:
        """Note what a device answered, if this machine is not paired with it."""
        if not self._unpaired.has_all(key, answered) and await connection.is_paired() is False:
            self._unpaired.note(key, answered)

    def _note_refusal(
        self, child: ChildDevice, reader: CharacteristicReader, error: AttributeRefused, remarks: list[str]
    ) -> None:
        """Note that a characteristic was refused.

        Raises:
            DeviceUnreachable: it was not answered, and it was answered before without a pairing: so that is not what it wants.
        """
        if isinstance(error, PairingNeeded):
            self._unpaired.check(child.key, reader.path, error)
        text = f"{reader.path}: {error}"
        remarks.append(text)
        self._answers.setdefault(child.key, {})[reader.path] = text
        if isinstance(error, PairingNeeded) and self._locked.note_refusal(child.key, reader.path, text):
            log.warning("%s: %s", child.name, text)


async def _no_readings() -> list[Reading]:
    return []


def _decode(reader: CharacteristicReader, payload: bytes, child: ChildDevice, remarks: list[str]) -> list[Reading]:
    try:
        return list(reader.decode(payload, child.key, datetime.now(UTC)))
    except NotInPayload as error:
        remarks.append(str(error))
        return []
