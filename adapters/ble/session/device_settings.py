"""Read and write the settings that a connected device keeps itself: each write once, and read back."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.ble.profile.setting_writes import PreparedSetting
from adapters.ble.radio.connection import AttributeRefused, GattConnection
from gateway.adapter import CommandRejected, DeviceUnreachable, OutcomeUnknown, Value, WrittenSetting


async def read_differing(connection: GattConnection, settings: Sequence[PreparedSetting]) -> dict[str, Value]:
    """Return the settings that have another value on the device, with that value.

    Raises:
        CommandRejected: the device refuses to tell one of them.
    """
    differing: dict[str, Value] = {}
    for setting in settings:
        payload = await _read(connection, setting)
        if not setting.is_met_by(payload):
            differing[setting.rule.name] = setting.decode(payload)
    return differing


async def write_settings(connection: GattConnection, settings: Sequence[PreparedSetting]) -> list[WrittenSetting]:
    """Write these settings in order, and return what each was and is.

    Raises:
        CommandRejected: the device refused one, or has another value when it is read back.
        OutcomeUnknown: the device was lost after one was sent.
    """
    return [await _write(connection, setting) for setting in settings]


async def _write(connection: GattConnection, setting: PreparedSetting) -> WrittenSetting:
    name, before = setting.rule.name, await _read(connection, setting)
    try:
        await connection.write(*setting.path, setting.payload, with_response=setting.rule.response)
        after = await connection.read(*setting.path)
    except AttributeRefused as error:
        raise CommandRejected(f"the device refuses {name} = {setting.value}: {error}") from error
    except DeviceUnreachable as error:
        raise OutcomeUnknown(f"{name} was sent, and the device was lost: {error}; whether it was taken is unknown") from error
    if not setting.is_met_by(after):
        raise CommandRejected(f"{name} was to be {setting.value}, and reads back as {setting.decode(after)}")
    return WrittenSetting(name=name, before=setting.decode(before), after=setting.decode(after))


async def _read(connection: GattConnection, setting: PreparedSetting) -> bytes:
    try:
        return await connection.read(*setting.path)
    except AttributeRefused as error:
        raise CommandRejected(f"{setting.rule.name} cannot be read at {setting.path}: {error}") from error
