"""Test devices that answer only to a paired machine, with bleak's own backend; only bluetoothd is emulated."""

from __future__ import annotations

import asyncio
import logging

import pytest
from dbus_fast import Message, MessageType
from pydantic import SecretStr

from adapters.ble import BleAdapter
from adapters.ble.radio import connection as connection_module
from adapters.ble.radio import pairing as pairing_module
from adapters.ble.radio.radio import Radio
from adapters.ble.session import pairing_connector as connector_module
from gateway.adapter import Cause, ChildDevice, DeviceUnreachable, Found
from gateway.testing.bluetooth import (
    Characteristic,
    Pairing,
    PairingMethod,
    Peripheral,
    RadioEnvironment,
    Service,
    dbus_errors,
    simulated_backend,
)

pytestmark = pytest.mark.enable_socket

ADDRESS = "C0:00:00:00:00:07"
PASSKEY = "004711"
WANTED = {"address": ADDRESS, "pair": True, "name": "Scale"}


def scale(*locked, method=PairingMethod.JUST_WORKS):
    """A device with a battery and an environmental sensor; the characteristics `locked` need a pairing."""
    device = Peripheral(
        ADDRESS,
        address_type="random",
        name="Scale 7",
        service_uuids=["181a"],
        services=[
            Service("180a", [Characteristic("2a24", ["read"], b"S-7")]),
            Service("180f", [Characteristic("2a19", ["read"], b"\x5a")]),
            Service("181a", [Characteristic("2a6e", ["read"], b"\xc4\x09"), Characteristic("2a6f", ["read"], b"\x88\x13")]),
        ],
        advertises_every=0.02,
    )
    device.pairing = Pairing(method=method, passkey=int(PASSKEY))
    for uuid in locked:
        device.characteristic(uuid).needs_pairing = True
    return device


def new_adapter(*devices):
    return BleAdapter(
        BleAdapter.settings_model.model_validate({"type": "ble", "name": "radio", "scan_time": 0.3, "devices": list(devices)})
    )


def child_of(found):
    return ChildDevice(
        key=found.identity.key, adapter="radio", bus="radio", address=found.address, profile=found.profile, family=found.family,
        model_id="m", sub_model=found.sub_model, firmware_version=found.firmware_version, name=found.name,
    )  # fmt: skip


async def read(adapter, child):
    due = frozenset(adapter.poll_groups(child))
    return {reading.metric.name: reading.value async for block in adapter.read(child, due) for reading in block}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(connection_module, "ATTRIBUTE_SECONDS", 0.2)
    monkeypatch.setattr(connector_module, "CONNECT_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(pairing_module, "RESOLVE_CHECK_SECONDS", 0.01)
    monkeypatch.setattr("gateway.testing.bluetooth.remote_device.PAIRING_AGAIN_SECONDS", 0.02)


async def test_what_needs_a_pairing_is_told_with_the_way_to_pair_and_the_rest_is_read(bluez):
    bluez.environment.add(scale("2a19"))
    adapter = new_adapter()
    async with adapter:
        child = child_of(await adapter.identify(ADDRESS))
        assert await read(adapter, child) == {"temperature": 25.0, "humidity": 50.0}
        (remark,) = [remark for remark in adapter.remarks(child) if "pair" in remark]
        found = await adapter.identify(ADDRESS)
    assert "180f/2a19" in remark
    assert "set pair = true" in remark
    assert f"bluetoothctl pair {ADDRESS}" in remark
    assert found.needs == remark


async def test_a_device_of_which_nothing_can_be_read_is_an_error_that_says_how_to_pair(bluez):
    bluez.environment.add(scale("2a19", "2a6e", "2a6f"))
    adapter = new_adapter()
    async with adapter:
        child = child_of(await adapter.identify(ADDRESS))
        with pytest.raises(DeviceUnreachable, match="may have to be paired: set pair = true"):
            await read(adapter, child)


async def test_a_device_that_tells_who_it_is_only_to_a_paired_machine_is_found_with_what_it_needs(bluez):
    bluez.environment.add(scale("2a24"))
    adapter = new_adapter()
    async with adapter:
        found = await adapter.identify(ADDRESS)
    assert found.profile == "gatt-180f-181a"
    assert f"bluetoothctl pair {ADDRESS}" in found.needs


async def test_a_locked_characteristic_is_left_out_after_two_reads_until_the_machine_is_paired(bluez, caplog):
    device = scale("2a19")
    bluez.environment.add(device)
    adapter = new_adapter()
    async with adapter:
        child = child_of(await adapter.identify(ADDRESS))
        for _ in range(2):
            await read(adapter, child)
        before = device.connections
        assert await read(adapter, child) == {"temperature": 25.0, "humidity": 50.0}
        assert device.connections == before + 1, "it is not tried, so one connection is enough"
        assert caplog.text.count("Scale 7 0007: 180f/2a19: reading 2a19 took longer") == 1
        assert any("2a19" in remark for remark in adapter.remarks(child))
        await pairing_module.pair(f"/org/bluez/hci0/dev_{ADDRESS.replace(':', '_')}", None)
        assert (await read(adapter, child))["battery"] == 90
        assert not any("pair" in remark for remark in adapter.remarks(child))


@pytest.mark.parametrize("code", [0x05, 0x0C, 0x0F])
async def test_a_refusal_for_want_of_a_pairing_is_told_as_one(bluez, code):
    device = scale()
    device.characteristic("2a19").error_reply = dbus_errors.att_error(code)
    bluez.environment.add(device)
    adapter = new_adapter()
    async with adapter:
        child = child_of(await adapter.identify(ADDRESS))
        assert await read(adapter, child) == {"temperature": 25.0, "humidity": 50.0}
        assert any("it has to be paired: set pair = true" in remark for remark in adapter.remarks(child))


@pytest.mark.parametrize(
    ("method", "device"),
    [
        (PairingMethod.JUST_WORKS, {}),
        (PairingMethod.PASSKEY_ENTRY, {"passkey": PASSKEY}),
        (PairingMethod.PASSKEY_ENTRY, {"passkey": int(PASSKEY)}),
        (PairingMethod.COMPARISON, {"passkey": PASSKEY}),
    ],
)
async def test_a_device_is_paired_by_its_setting_and_trusted_and_read(bluez, caplog, method, device):
    caplog.set_level(logging.DEBUG)
    peripheral = scale("2a19", "2a6e", method=method)
    bluez.environment.add(peripheral)
    adapter = new_adapter(WANTED | device)
    async with adapter:
        child = child_of(await adapter.identify(ADDRESS))
        assert await read(adapter, child) == {"battery": 90, "temperature": 25.0, "humidity": 50.0}
        assert bluez.controller.bonds == {ADDRESS}
        assert len(bluez.daemon.agents) == 0, "the agent ends with the pairing"
    assert caplog.text.count("Scale: paired with this machine") == 1
    assert PASSKEY not in caplog.text
    assert "4711" not in caplog.text


async def test_a_pairing_is_remembered_over_a_restart_of_bluetoothd_and_of_the_gateway(bluez, until):
    peripheral = scale("2a19")
    bluez.environment.add(peripheral)
    for _ in range(2):
        adapter = new_adapter(WANTED)
        async with adapter:
            child = child_of(await adapter.identify(ADDRESS))
            assert (await read(adapter, child))["battery"] == 90
        await until(lambda: not peripheral.is_connected)
        await bluez.daemon.crash()
        await bluez.daemon.start()
        peripheral.faults.ignores_pairing = True


@pytest.mark.parametrize(
    ("device", "faults", "reason"),
    [
        ({"passkey": "999999"}, {}, "the passkey is wrong or missing"),
        ({}, {}, "the passkey is wrong or missing"),
        ({"passkey": PASSKEY}, {"refuses_pairing": True}, "the device refuses it"),
        ({"passkey": PASSKEY}, {"ignores_pairing": True}, "did not finish it within"),
    ],
)
async def test_a_pairing_that_fails_is_told_once_and_tried_less_and_less_often(
    bluez, monkeypatch, caplog, device, faults, reason
):
    monkeypatch.setattr(pairing_module, "PAIR_SECONDS", 0.3)
    peripheral = scale("2a19", method=PairingMethod.PASSKEY_ENTRY)
    for fault, value in faults.items():
        setattr(peripheral.faults, fault, value)
    bluez.environment.add(peripheral)
    adapter = new_adapter(WANTED | device | {"profile": "gatt-180f-181a"})
    async with adapter:
        for _ in range(3):
            with pytest.raises(DeviceUnreachable, match="cannot be paired"):
                await read(adapter, child_of(await _present(adapter)))
        reached = peripheral.connections
    assert reached == 1, "no second attempt within the first minute"
    assert caplog.text.count("cannot be paired") == 1
    assert reason in caplog.text
    assert "999999" not in caplog.text


async def _present(adapter):
    """Return the device, whatever could be learned of it."""
    device = await adapter._reachability.wait_for(ADDRESS)
    return device.found()


async def test_a_search_tells_that_a_configured_device_cannot_be_paired_and_leaves_it_free(bluez, until):
    peripheral = scale("2a19", method=PairingMethod.PASSKEY_ENTRY)
    bluez.environment.add(peripheral)
    adapter = new_adapter(WANTED)
    async with adapter:
        found = [step async for step in adapter.discover() if isinstance(step, Found)]
        assert "Scale cannot be paired" in found[-1].needs
        await until(lambda: not peripheral.is_connected)


async def test_with_another_system_than_bluez_the_device_is_paired_when_it_is_connected():
    peripheral = scale("2a19")
    backend = simulated_backend(RadioEnvironment([peripheral]))
    adapter = BleAdapter(
        BleAdapter.settings_model.model_validate({"type": "ble", "name": "radio", "scan_time": 0.3, "devices": [WANTED]}),
        radio=Radio(None, "active", scanner_backend=backend.scanner, client_backend=backend.client),
    )
    async with adapter:
        child = child_of(await adapter.identify(ADDRESS))
        assert (await read(adapter, child))["battery"] == 90
    peripheral.reset()
    peripheral.faults.refuses_pairing = True
    async with adapter:
        await adapter._reachability.wait_for(ADDRESS)
        with pytest.raises(DeviceUnreachable, match="cannot be paired"):
            await read(adapter, child)


async def test_a_device_that_was_reset_is_paired_anew_once(bluez, caplog):
    peripheral = scale("2a19")
    bluez.environment.add(peripheral)
    adapter = new_adapter(WANTED)
    async with adapter:
        child = child_of(await adapter.identify(ADDRESS))
        assert (await read(adapter, child))["battery"] == 90
        for times in (1, 2):
            peripheral.reset()
            with pytest.raises(DeviceUnreachable, match="breaks the connection off at once; if it was reset, it is paired anew"):
                await read(adapter, child)
            assert (await read(adapter, child))["battery"] == 90
            assert caplog.text.count("it does not know its pairing any more") == times, "after a read it may be reset again"


async def test_interference_removes_no_pairing(bluez):
    peripheral = scale("2a19")
    bluez.environment.add(peripheral)
    adapter = new_adapter(WANTED)
    async with adapter:
        child = child_of(await adapter.identify(ADDRESS))
        peripheral.faults.keeps_its_bond = True
        for aborted in (1, 2, 3):
            peripheral.faults.aborted_connects = aborted
            try:
                assert (await read(adapter, child))["battery"] == 90
            except DeviceUnreachable:
                assert aborted == 3
        assert (await read(adapter, child))["battery"] == 90
    assert bluez.controller.bonds == {ADDRESS}


async def test_a_device_that_was_paired_by_hand_and_reset_is_told_with_what_to_do(bluez, monkeypatch):
    monkeypatch.setattr("adapters.ble.radio.radio.CONNECT_SECONDS", 0.5)
    peripheral = scale("2a19")
    bluez.controller.bonds.add(ADDRESS)
    bluez.environment.add(peripheral)
    adapter = new_adapter({"address": ADDRESS, "profile": "gatt-180f-181a"})
    async with adapter:
        with pytest.raises(DeviceUnreachable, match=f"if it was reset, pair it again: bluetoothctl remove {ADDRESS}"):
            await read(adapter, child_of(await _present(adapter)))
    assert bluez.controller.bonds == {ADDRESS}, "a pairing made by hand is removed by hand"


async def test_a_device_that_refuses_one_value_although_it_is_paired_is_paired_anew_once_and_read_on(bluez, caplog):
    peripheral = scale()
    bluez.environment.add(peripheral)
    adapter = new_adapter(WANTED)
    async with adapter:
        child = child_of(await adapter.identify(ADDRESS))
        peripheral.characteristic("2a19").error_reply = dbus_errors.NOT_PAIRED
        for _ in range(4):
            assert await read(adapter, child) == {"temperature": 25.0, "humidity": 50.0}
        assert any("this pairing is not the one that it wants" in remark for remark in adapter.remarks(child))
        assert caplog.text.count("it does not know its pairing any more") == 1
        peripheral.characteristic("2a19").error_reply = None
        assert (await read(adapter, child))["battery"] == 90


async def test_a_device_that_forgets_each_new_pairing_is_not_paired_without_end(bluez, monkeypatch, caplog):
    monkeypatch.setattr(connector_module, "FIRST_WAIT_SECONDS", 0.0)
    peripheral = scale("2a19")
    bluez.environment.add(peripheral)
    adapter = new_adapter(WANTED)
    async with adapter:
        child = child_of(await adapter.identify(ADDRESS))
        peripheral.faults.lost_reads = 1000
        for _ in range(4):
            peripheral.reset()
            with pytest.raises(DeviceUnreachable):
                await read(adapter, child)
    assert caplog.text.count("it does not know its pairing any more") == 1
    assert "bluetoothctl remove" in caplog.text


async def test_a_pairing_that_fails_for_years_is_tried_each_hour(bluez, monkeypatch):
    bond = connector_module._Bond(failures=100_000)
    connector = connector_module.PairingConnector(None, lambda address: None)
    wish = connector_module.PairingWish(key="a", label="Scale")
    assert "Scale cannot be paired: refused" in str(connector._failed(wish, bond, "refused"))
    assert 3500 < bond.try_again_at - asyncio.get_running_loop().time() <= 3600


async def test_a_device_out_of_range_keeps_its_pairing(bluez):
    peripheral = scale("2a19")
    bluez.environment.add(peripheral)
    adapter = new_adapter(WANTED)
    async with adapter:
        child = child_of(await adapter.identify(ADDRESS))
        await read(adapter, child)
        peripheral.is_in_range = False
        with pytest.raises(DeviceUnreachable, match="accepts no connection"):
            await read(adapter, child)
        peripheral.come_back()
        peripheral.faults.ignores_pairing = True
        assert (await read(adapter, child))["battery"] == 90
    assert bluez.controller.bonds == {ADDRESS}


async def test_an_agent_answers_nobody_but_bluetoothd(bluez):
    device = "/org/bluez/hci0/dev_C0_00_00_00_00_07"
    agent = pairing_module._Agent(device, SecretStr(PASSKEY), ":1.7")

    def asked(member, *body, sender=":1.7"):
        signature = "".join("o" if isinstance(one, str) else "u" for one in body)
        call = Message(
            destination=":1.9",
            path="/a",
            interface="org.bluez.Agent1",
            member=member,
            signature=signature,
            body=[*body],
            serial=1,
        )
        call.sender = sender
        reply = agent.answer(call)
        return reply.body if reply.message_type is MessageType.METHOD_RETURN else reply.error_name

    assert asked("RequestPasskey", device) == [4711]
    assert asked("RequestPinCode", device) == [PASSKEY]
    assert asked("RequestConfirmation", device, 4711) == []
    assert asked("RequestConfirmation", device, 4712) == "org.bluez.Error.Rejected"
    assert asked("RequestPasskey", device, sender=":1.8") == "org.bluez.Error.Rejected"
    assert asked("RequestPasskey", device + "1") == "org.bluez.Error.Rejected"
    assert asked("RequestAuthorization", device + "1") == "org.bluez.Error.Rejected"
    assert asked("RequestAuthorization", device) == []
    assert asked("Release") == asked("Cancel") == []


async def test_a_notification_that_was_refused_and_is_allowed_again_needs_nothing_any_more(bluez, monkeypatch):
    monkeypatch.setattr("adapters.ble.session.locked_characteristics.TRIED_AGAIN_AFTER_SECONDS", 0.0)
    device = scale()
    measurement = Characteristic("2a37", ["notify"], b"\x00\x48", notify_every=0.05)
    device.services = (*device.services, Service("180d", [measurement]))
    bluez.environment.add(device)
    adapter = new_adapter({"address": ADDRESS, "profile": "gatt-180d-180f-181a"})
    async with adapter:
        child = child_of(await adapter.identify(ADDRESS))
        measurement.error_reply = dbus_errors.NOT_PAIRED
        for _ in range(2):
            assert "heart_rate" not in await read(adapter, child)
        assert "2a37" in (await adapter.identify(ADDRESS)).needs
        measurement.error_reply = None
        assert (await read(adapter, child))["heart_rate"] == 72
        assert (await adapter.identify(ADDRESS)).needs is None


@pytest.mark.parametrize("ends", ["crash", "stop"])
async def test_a_bluetoothd_that_ends_during_a_pairing_is_told_and_the_device_is_paired_afterwards(
    bluez, monkeypatch, until, ends
):
    monkeypatch.setattr(connector_module, "FIRST_WAIT_SECONDS", 0.0)
    peripheral = scale("2a19")
    peripheral.faults.ignores_pairing = True
    bluez.environment.add(peripheral)
    adapter = new_adapter(WANTED | {"profile": "gatt-180f-181a"})
    async with adapter:
        child = child_of(await _present(adapter))
        reading = asyncio.create_task(read(adapter, child))
        await until(lambda: bluez.daemon.agents and peripheral.is_connected)
        await getattr(bluez.daemon, ends)()
        with pytest.raises(DeviceUnreachable, match="Scale cannot be paired: bluetoothd stopped meanwhile"):
            await reading
    peripheral.faults.ignores_pairing = False
    await bluez.daemon.start()
    async with adapter:
        child = child_of(await adapter.identify(ADDRESS))
        assert (await read(adapter, child))["battery"] == 90
    assert len(bluez.daemon.agents) == 0


async def test_a_device_that_was_read_before_a_restart_and_is_silent_now_does_not_answer(bluez):
    device = scale()
    bluez.environment.add(device)
    before = new_adapter()
    async with before:
        child = child_of(await before.identify(ADDRESS))
        assert (await read(before, child))["battery"] == 90
    after = new_adapter()
    after.memory = before.memory
    device.faults.is_silent = True
    async with after:
        with pytest.raises(DeviceUnreachable, match="2a24 took longer than") as unidentified:
            await after.identify(ADDRESS)
        with pytest.raises(DeviceUnreachable, match="took longer than") as unread:
            await read(after, child)
    for failed in (unidentified.value, unread.value):
        assert (failed.cause, "pair" in str(failed)) == (Cause.NO_ANSWER, False)


async def test_what_a_paired_machine_has_read_is_not_remembered_as_answered_without_a_pairing(bluez):
    device = scale("2a19", "2a6e", "2a6f")
    bluez.environment.add(device)
    before = new_adapter(WANTED)
    async with before:
        child = child_of(await before.identify(ADDRESS))
        assert (await read(before, child))["battery"] == 90
    assert not any("2a19" in text for text in before.memory.values())
