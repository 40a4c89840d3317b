"""Projectors with PJLink behind real sockets: in standby, with a password, in class 2, in lower case."""

import asyncio

import pytest

from adapters.serial import SerialAdapter
from adapters.serial.profile.library import PROFILE_FILES
from gateway.adapter import BusUnavailable, Command, CommandRejected, DeviceUnreachable, Found
from gateway.testing.serial import HEALTHY, DeviceServer, Projector, SerialFaults
from gateway.testing.serial.projector import ON, STANDBY, WARMING_UP

pytestmark = pytest.mark.enable_socket

PASSWORD = "JBMIAProjectorLink"
PROJECTOR = {"port": "hall", "profile": "pjlink"}
SETTINGS = {"type": "serial", "name": "av"}


def adapter_for(server, memory=None, **settings):
    ports = [{"port": server.port, "name": "hall"}]
    adapter = SerialAdapter(SerialAdapter.settings_model.model_validate({**SETTINGS, "ports": ports, **settings}))
    adapter.memory = {} if memory is None else memory
    return adapter


def child_of(found):
    return found.as_child(adapter="av", bus="hall", model_id="m")


async def discovered(adapter):
    return [step async for step in adapter.discover() if isinstance(step, Found)]


async def readings_of(adapter, child):
    due = frozenset(adapter.poll_groups(child))
    return {reading.metric.name: reading.value async for block in adapter.read(child, due) for reading in block}


@pytest.fixture(autouse=True)
def short_waits(monkeypatch, tmp_path):
    """Shorter waits for a greeting, and for a projector that answers nothing."""
    text = (PROFILE_FILES.folder / "pjlink.toml").read_text("utf-8")
    text = text.replace("timeout = 3.0", "timeout = 0.5").replace("within = 1\n", "within = 0.2\n")
    (tmp_path / "pjlink.toml").write_text(text, "utf-8")
    monkeypatch.setitem(SETTINGS, "profiles", [str(tmp_path)])
    monkeypatch.setattr("adapters.serial.session.digest_login.GREETING_SECONDS", 0.2)
    monkeypatch.setattr("adapters.serial.session.digest_login.LATE_GREETING_SECONDS", 0.3)


async def test_a_projector_named_by_tcp_is_found_and_read():
    async with DeviceServer(Projector()) as server:
        ports = [{"port": f"tcp://{server.port.removeprefix('socket://')}", "name": "hall"}]
        async with adapter_for(server, ports=ports) as adapter:
            (found,) = await discovered(adapter)
            readings = await readings_of(adapter, child_of(found))
    assert readings["power"] in ("on", "standby")
    assert readings["lamp_hours"] is not None


class Uplink:
    """Keeps what was found."""

    def __init__(self):
        self.devices = []

    def found(self, found):
        self.devices.append(found)

    def heard(self, readings):
        pass


async def test_a_projector_in_standby_gets_no_name_from_its_refusals():
    projector = Projector()
    projector.power = STANDBY
    async with DeviceServer(projector) as server, adapter_for(server) as adapter:
        (found,) = await discovered(adapter)
        readings = await readings_of(adapter, child_of(found))
    assert (found.profile, found.sub_model, found.manufacturer) == ("pjlink", None, None)
    assert found.name == "Projector or display with PJLink hall"
    assert "ERR" not in found.name
    assert readings == {"power": "standby"}
    assert all(request.endswith("?") for request in projector.requests), "a search only asks"


async def test_a_projector_is_asked_again_who_it_is_when_it_wakes():
    projector = Projector(pjlink_class=2)
    projector.power = STANDBY
    async with DeviceServer(projector) as server, adapter_for(server) as adapter:
        (asleep,) = await discovered(adapter)
        uplink = Uplink()
        listening = asyncio.create_task(adapter.listen(uplink))
        await asyncio.sleep(0)
        await readings_of(adapter, child_of(asleep))
        await readings_of(adapter, child_of(asleep))
        assert uplink.devices == [], "nothing has changed"
        projector.power = WARMING_UP
        await readings_of(adapter, child_of(asleep))
        listening.cancel()
    (awake,) = uplink.devices
    assert (awake.manufacturer, awake.sub_model, awake.serial_number) == ("NEC", "P506QL", "9X00123FA")
    assert (asleep.identity.kind, awake.identity.key) == ("place", "sn:nec/9X00123FA")
    assert awake.address == asleep.address, "so it stays the same child"


async def test_a_known_projector_keeps_its_identity_and_name_in_standby_also_after_a_restart():
    projector, memory = Projector(pjlink_class=2), {}
    async with DeviceServer(projector) as server:
        async with adapter_for(server, memory) as adapter:
            (awake,) = await discovered(adapter)
        projector.power = STANDBY
        async with adapter_for(server, memory) as adapter:
            asleep = await adapter.identify(awake.address)
    assert (asleep.identity, asleep.name, asleep.sub_model) == (awake.identity, awake.name, "P506QL")


async def test_another_projector_that_tells_one_thing_gets_nothing_of_the_former_one():
    projector, memory = Projector(), {}
    async with DeviceServer(projector) as server:
        async with adapter_for(server, memory) as adapter:
            await discovered(adapter)
        server.devices = [other := Projector(manufacturer="Acer", tells_in_standby=frozenset({"POWR", "CLSS", "INF1"}))]
        other.power = STANDBY
        async with adapter_for(server, memory) as adapter:
            found = await adapter.identify("pjlink")
    assert (found.manufacturer, found.sub_model) == ("Acer", None)


async def test_a_password_is_sent_as_a_digest_in_front_of_the_first_request_only():
    projector = Projector(password=PASSWORD)
    async with DeviceServer(projector) as server, adapter_for(server, devices=[{**PROJECTOR, "password": PASSWORD}]) as adapter:
        (found,) = await discovered(adapter)
        readings = await readings_of(adapter, child_of(found))
        result = await adapter.execute(child_of(found), Command(1, found.identity.key, "set_mute", {"mute": "on"}))
    assert (found.needs, found.manufacturer, readings["power"]) == (None, "NEC", "on")
    assert "accepted" in result.message
    assert bytes(server.received).count(b"5d8409bc1c3fa39749434aa3a5c38682") == 1, "the digest of the specification's example"
    assert bytes(server.received).startswith(b"5d8409bc1c3fa39749434aa3a5c38682%1")
    assert PASSWORD.encode() not in server.received
    assert projector.rejected_logins == 0


async def test_without_its_password_a_projector_is_found_and_the_setting_is_named():
    projector = Projector(password=PASSWORD)
    async with DeviceServer(projector) as server, adapter_for(server) as adapter:
        (found,) = await discovered(adapter)
        with pytest.raises(DeviceUnreachable, match="it needs a password"):
            await readings_of(adapter, child_of(found))
        with pytest.raises(CommandRejected, match=r"it needs a password.*was not sent"):
            await adapter.execute(child_of(found), Command(1, found.identity.key, "set_mute", {"mute": "on"}))
    assert (found.address, found.profile) == ("pjlink", "pjlink")
    assert found.needs.startswith("it needs a password")
    assert 'devices = [{ port = "hall", profile = "pjlink", password_file = ' in found.needs
    assert (bytes(server.received), projector.rejected_logins) == (b"", 0), "it is not asked in vain"


async def test_the_file_of_a_wrong_password_is_named(tmp_path):
    file = tmp_path / "hall"
    file.write_text("wrong\n", encoding="utf-8")
    file.chmod(0o600)
    async with DeviceServer(Projector(password=PASSWORD)) as server:
        async with adapter_for(server, devices=[{**PROJECTOR, "password_file": file}]) as adapter:
            (found,) = await discovered(adapter)
        assert found.needs.startswith(f"it rejects the password in {file}: correct it there")


async def test_a_network_port_has_no_line_settings_to_tell():
    async with DeviceServer(Projector()) as server, adapter_for(server) as adapter:
        (found,) = await discovered(adapter)
        await readings_of(adapter, child_of(found))
        assert not any("line" in remark for remark in adapter.remarks(child_of(found)))


async def test_a_wrong_password_is_told_and_not_sent_again_and_again():
    projector = Projector(password=PASSWORD)
    async with DeviceServer(projector) as server:
        adapter = adapter_for(server, devices=[{**PROJECTOR, "password": "wrong"}])
        async with adapter:
            (found,) = await discovered(adapter)
            for _ in range(3):
                with pytest.raises(DeviceUnreachable, match="it rejects the password"):
                    await readings_of(adapter, child_of(found))
        assert found.needs == "it rejects the password that `devices` of this entry gives it: correct it there"
        for _ in range(2):
            with pytest.raises(BusUnavailable, match="it rejects the password"):
                await adapter.__aenter__()
    assert projector.rejected_logins == 1
    assert "wrong" not in found.needs


async def test_a_late_greeting_is_answered_with_the_password_and_the_next_connection_waits_for_it(monkeypatch):
    monkeypatch.setattr("adapters.serial.session.digest_login.LATE_GREETING_SECONDS", 20.0)
    projector = Projector(password=PASSWORD)
    async with DeviceServer(projector) as server:
        adapter = adapter_for(server, devices=[{**PROJECTOR, "password": PASSWORD}])
        server.greets_after_seconds = 3600.0
        child = adapter.unregistered_child(address="pjlink", name="Projector", profile="pjlink")
        async with adapter:
            with pytest.raises(DeviceUnreachable, match="it was asked before its greeting"):
                await readings_of(adapter, child)
            server.greet_again()
            assert (await readings_of(adapter, child))["power"] == "on"
        server.greets_after_seconds = 0.5
        async with adapter:
            assert (await readings_of(adapter, child))["power"] == "on"
    assert projector.rejected_logins == 1, "only before it was known that it wants a password"


async def test_a_device_that_wants_a_password_and_never_greets_is_asked_once_and_then_left_alone():
    projector = Projector(password=PASSWORD)
    async with DeviceServer(projector) as server, adapter_for(server, devices=[{**PROJECTOR, "password": PASSWORD}]) as adapter:
        server.greets_after_seconds = 3600.0
        await adapter.__aexit__()
        await adapter.__aenter__()
        child = adapter.unregistered_child(address="pjlink", name="Projector", profile="pjlink")
        with pytest.raises(DeviceUnreachable, match="it was asked before its greeting"):
            await readings_of(adapter, child)
        for _ in range(3):
            with pytest.raises(BusUnavailable, match="did not greet this connection"):
                await readings_of(adapter, child)
    assert projector.rejected_logins == 1


@pytest.mark.parametrize(
    "before", [b"\xff\xfd\x18\xff\xfb\x01", b"\r\n", b"PJLINK 1 00000000\r", b"PJLINK 0\r", b"PJLINK 1 498e4a67\r"]
)
async def test_the_last_greeting_counts_whatever_a_device_server_sends_before_it(before):
    projector = Projector(password=PASSWORD)
    async with DeviceServer(projector) as server:
        server.before_greeting = before
        async with adapter_for(server, devices=[{**PROJECTOR, "password": PASSWORD}]) as adapter:
            (found,) = await discovered(adapter)
            assert (await readings_of(adapter, child_of(found)))["power"] == "on"
        async with adapter_for(server) as adapter:
            found = await adapter.identify("pjlink")
    assert found.needs.startswith("it needs a password")
    assert projector.rejected_logins == 0


async def test_a_projector_that_greets_again_in_a_session_is_logged_in_again():
    projector = Projector(password=PASSWORD)
    async with DeviceServer(projector) as server, adapter_for(server, devices=[{**PROJECTOR, "password": PASSWORD}]) as adapter:
        (found,) = await discovered(adapter)
        await readings_of(adapter, child_of(found))
        projector.random_text = "00000001"
        server.greet_again()
        await asyncio.sleep(0.05)
        assert (await readings_of(adapter, child_of(found)))["power"] == "on"
    assert projector.rejected_logins == 0


async def test_a_password_that_is_set_in_a_session_is_asked_for_and_no_password_is_called_wrong():
    projector = Projector()
    async with DeviceServer(projector) as server, adapter_for(server) as adapter:
        child = child_of((await discovered(adapter))[0])
        projector.password = PASSWORD
        projector.log_out()
        for _ in range(3):
            with pytest.raises(DeviceUnreachable, match="it needs a password"):
                await readings_of(adapter, child)
    assert projector.rejected_logins == 1


async def test_the_hash_of_the_password_is_shown_nowhere_on_a_line_that_echoes():
    projector = EchoingProjector(password=PASSWORD)
    hashed = "5d8409bc1c3fa397"
    async with DeviceServer(projector) as server, adapter_for(server, devices=[{**PROJECTOR, "password": PASSWORD}]) as adapter:
        child = adapter.unregistered_child(address="pjlink", name="Projector", profile="pjlink")
        with pytest.raises(DeviceUnreachable, match="that do not answer it") as told:
            await readings_of(adapter, child)
        assert hashed.encode() in server.received
        assert hashed not in str(told.value)


class EchoingProjector(Projector):
    """One that echoes all that it receives, and answers nothing else."""

    def receive(self, data):
        return [data]


async def test_a_bus_whose_device_needs_a_password_is_open_again_when_the_device_needs_none():
    projector = Projector(password=PASSWORD)
    async with DeviceServer(projector) as server:
        adapter = adapter_for(server)
        async with adapter:
            await discovered(adapter)
        with pytest.raises(BusUnavailable, match="it needs a password"):
            await adapter.__aenter__()
        projector.password = None
        async with adapter:
            assert (await adapter.identify("pjlink")).needs is None


async def test_each_connection_is_logged_in_again():
    projector = Projector(password=PASSWORD)
    async with DeviceServer(projector) as server:
        adapter = adapter_for(server, devices=[{**PROJECTOR, "password": PASSWORD}])
        for _ in range(2):
            async with adapter:
                found = await adapter.identify("pjlink")
                assert (await readings_of(adapter, child_of(found)))["power"] == "on"
    assert (server.connections, projector.rejected_logins) == (2, 0)


@pytest.mark.parametrize("pjlink_class", [1, 2])
async def test_class_2_tells_more_and_class_1_is_not_asked(pjlink_class):
    projector = Projector(pjlink_class=pjlink_class)
    projector.input = "6A"
    async with DeviceServer(projector) as server, adapter_for(server) as adapter:
        (found,) = await discovered(adapter)
        readings = await readings_of(adapter, child_of(found))
        readings |= await readings_of(adapter, child_of(found))
    assert (readings["input_kind"], readings["input_number"]) == ("internal", "A")
    assert ("freeze" in readings) == (pjlink_class == 2)
    assert any(request.startswith("%2") for request in projector.requests) == (pjlink_class == 2)
    assert projector.requests.count("%1CLSS ?") <= 3, "the class is asked once per search and connection"


@pytest.mark.parametrize("end", [b"\r", b"\r\n", b"\n"])
async def test_lower_case_and_other_line_ends_are_understood(end):
    projector = Projector(lower_case=True, end=end)
    async with DeviceServer(projector) as server, adapter_for(server) as adapter:
        (found,) = await discovered(adapter)
        readings = await readings_of(adapter, child_of(found))
    assert (found.manufacturer, readings["power"]) == ("nec", "on")


async def test_a_projector_that_closes_idle_connections_is_a_lost_bus():
    async with DeviceServer(Projector(password=PASSWORD), close_idle_seconds=0.2) as server, adapter_for(server) as adapter:
        with pytest.raises(BusUnavailable):
            await asyncio.wait_for(adapter.listen(Uplink()), 60)


async def test_a_switch_to_standby_and_back_shows_in_the_power_alone():
    projector = Projector()
    async with DeviceServer(projector) as server, adapter_for(server) as adapter:
        child = child_of((await discovered(adapter))[0])
        for power, told in ((ON, "on"), (STANDBY, "standby"), (ON, "on")):
            projector.power = power
            assert (await readings_of(adapter, child))["power"] == told


async def test_a_projector_that_writes_its_class_in_words_is_found_and_its_class_is_known():
    projector = Projector(pjlink_class=2, manufacturer="Optoma")
    projector.class_text = "Class "
    async with DeviceServer(projector) as server, adapter_for(server) as adapter:
        (found,) = await discovered(adapter)
        assert (await readings_of(adapter, child_of(found)))["freeze"] == "off"
    assert found.identity.key == "sn:optoma/9X00123FA"


async def test_a_projector_with_a_password_in_standby_is_found_and_read():
    projector = Projector(password=PASSWORD, tells_in_standby=frozenset({"POWR"}))
    projector.power = STANDBY
    async with DeviceServer(projector) as server, adapter_for(server, devices=[{**PROJECTOR, "password": PASSWORD}]) as adapter:
        (found,) = await discovered(adapter)
        readings = await readings_of(adapter, child_of(found))
    assert (found.needs, readings) == (None, {"power": "standby"})


async def test_a_projector_that_is_silent_for_a_while_after_a_change_is_read_again_under_its_identity():
    projector = Projector(pjlink_class=2)
    async with DeviceServer(projector) as server, adapter_for(server) as adapter:
        (found,) = await discovered(adapter)
        projector.power, projector.faults = WARMING_UP, SerialFaults(silent=True)
        with pytest.raises(DeviceUnreachable, match="no answer within"):
            await readings_of(adapter, child_of(found))
        projector.faults = HEALTHY
        assert (await adapter.identify(found.address)).identity == found.identity
        assert (await readings_of(adapter, child_of(found)))["power"] == "warming up"
