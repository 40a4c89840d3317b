"""Faults planted on a real machine, the command as it is typed: each is named, and the fix is the right one."""

import asyncio
import contextlib
import os
import socket
import sys
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr

from gateway.hub import Credentials
from gateway.state.records import GatewayRecord
from gateway.state.recovery.hardware import Hardware
from gateway.state.recovery.hardware_question import HardwareMemory, IdentityDecision
from gateway.state.registry import Registry
from gateway.state.store import Store
from gateway.testing.bluetooth.bluez import EmulatedBlueZ
from gateway.testing.bluetooth.controller import Controller
from gateway.testing.bluetooth.private_bus import PrivateBus, dbus_daemon_or_skip
from gateway.testing.bluetooth.radio_environment import RadioEnvironment
from gateway.testing.serial import SerialLine

pytestmark = pytest.mark.enable_socket

NOBODY = 65534
BLE = '[[adapter]]\ntype = "ble"\n'


def serial(*ports):
    return f'[[adapter]]\ntype = "serial"\nports = [{", ".join(ports)}]\n'


@pytest.fixture
async def entry(cloud, authority):
    async with cloud(authority.issue_cert("localhost")) as running:
        yield running


@asynccontextmanager
async def bluetooth(**how):
    dbus_daemon_or_skip()
    async with PrivateBus() as bus, EmulatedBlueZ(bus.address, [Controller(RadioEnvironment(), **how)]):
        yield {"DBUS_SYSTEM_BUS_ADDRESS": bus.address}


@contextmanager
def port_of_group(group, mode):
    """A pseudo-terminal that belongs to this group."""
    near, far = os.openpty()
    name = os.ttyname(far)
    try:
        os.close(far)
        os.chown(name, 0, group)
        os.chmod(name, mode)  # noqa: PTH101 - beside chown
        yield name
    finally:
        os.close(near)


# nothing planted -----------------------------------------------------------------------------------------------------


async def test_on_a_healthy_machine_nothing_is_found(entry, config, doctor, folder):
    async with SerialLine(link=folder / "port") as line, bluetooth() as environment:
        report = await doctor("-c", str(config(entry.url, BLE + serial(f'"{line.port}"'))), **environment)
    assert report.code == 0
    assert report.counted == (0, 0), report.faults + report.warnings
    assert all(one.fix is None for one in report.all if one.state == "fine")
    assert {"config", "store", "disk", "status page", "entry name", "entry TLS", "entry", "clock"} <= {
        one.what for one in report.all
    }
    assert {"ble: D-Bus", "ble: bluetoothd", "ble: hci0", f"serial: port {line.port}"} <= {one.what for one in report.all}
    assert report.of("hub").state == "not looked at"
    assert not (folder / "store" / "gateway.sqlite3").exists()
    assert all("authorization" not in head.lower() and head.startswith("GET / ") for head in entry.asked)


# seven at once -------------------------------------------------------------------------------------------------------


async def test_seven_planted_faults_are_each_named_with_the_right_fix(cloud, authority, config, doctor, folder):
    """One look at a machine on which seven things are wrong."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    (folder / "store").rmdir()
    (folder / "store").write_text("in the way")
    async with cloud(trustme.CA(organization_name="Proxy Maker").issue_cert("localhost"), clock=yesterday) as entry:
        file = config(entry.url, f"[status]\nport = {entry.port}\n{BLE}{serial(chr(34) + '/dev/ttyUSB99' + chr(34))}")
        file.write_text(
            file.read_text().replace('type = "ble"', 'type = "ble"\nscaning = "active"', 1)
            + BLE.replace("ble", "ble")
            + 'name = "air"\n'
        )
        (folder / "hardware_key").chmod(0o644)
        report = await doctor("-c", str(file), DBUS_SYSTEM_BUS_ADDRESS=f"unix:path={folder}/no-socket")
    told = {one.what: (one.state, one.fix) for one in report.all if one.state in ("fault", "warning")}
    mistake = next(one for one in report.faults if one.what == "config" and "scaning" in one.meaning)
    assert f"{file}:" in mistake.meaning
    assert "Did you mean 'scanning'?" in mistake.fix
    assert told[f"secret {folder}/hardware_key"] == ("warning", f"chmod 600 {folder}/hardware_key")
    assert told["status page"][1].startswith("in [status]: port = ")
    assert "-v /run/dbus/system_bus_socket:/run/dbus/system_bus_socket" in told["air: D-Bus"][1]
    assert "plug in its adapter" in told["serial: port /dev/ttyUSB99"][1]
    assert told["entry TLS"][1].startswith("in [cloud]: ca_file = ")
    assert told["clock"][1].startswith("sudo timedatectl set-ntp true")
    assert report.code == 1
    assert report.counted == (len(report.faults), len(report.warnings))


# one by one: configuration and files ---------------------------------------------------------------------------------


async def test_each_mistake_of_the_config_with_its_line(entry, config, doctor):
    file = config(entry.url)
    file.write_text(file.read_text().replace("hardware_key_file", "hardware_kye_file"))
    report = await doctor("-c", str(file))
    assert [one.what for one in report.faults] == ["config", "config"]
    missing, mistyped = sorted(report.faults, key=lambda one: one.meaning)
    assert f"{file}:1: cloud.hardware_key" in missing.meaning
    assert f"{file}:2: cloud.hardware_kye_file: no such key" in mistyped.meaning
    assert "Did you mean 'hardware_key_file'?" in mistyped.fix
    assert report.of("entry").state == "fine", "the rest is looked at all the same"


async def test_a_file_that_is_no_toml(entry, config, doctor):
    file = config(entry.url)
    file.write_text("[cloud\n")
    report = await doctor("-c", str(file))
    assert report.code == 1
    assert f"{file}:1: is not TOML" in report.of("config").meaning
    assert report.of("entry").state == "not looked at"


async def test_without_a_config_it_tells_what_the_machine_has(doctor):
    async with bluetooth() as environment:
        report = await doctor(**environment)
    assert report.of("config").state == "not looked at"
    assert "gateway.example.toml" in report.of("config").fix
    assert report.of("ble: hci0").state == "fine"
    assert report.of("entry name").state in ("fault", "fine")


async def test_bluetooth_that_nobody_wants_is_no_fault(doctor, folder):
    report = await doctor(DBUS_SYSTEM_BUS_ADDRESS=f"unix:path={folder}/no-socket")
    assert report.of("ble: D-Bus").state == "not looked at"
    assert "mount it" in report.of("ble: D-Bus").fix


async def test_a_config_that_holds_a_secret_and_is_for_all_to_read(entry, config, doctor):
    file = config(
        entry.url,
        '[[adapter]]\ntype = "serial"\nports = ["socket://127.0.0.1:1"]\ndevices = [{ profile = "pjlink", password = "s3" }]',
    )
    report = await doctor("-c", str(file))
    (found,) = [one for one in report.warnings if one.what == "config file"]
    assert found.fix == f"chmod 600 {file}"
    assert "password" in found.meaning
    file.chmod(0o600)
    assert (await doctor("-c", str(file))).counted == (0, 0)


# one by one: store and disk ------------------------------------------------------------------------------------------


async def test_a_folder_that_another_user_owns(entry, config, doctor, folder, as_root):
    file = config(entry.url)
    (folder / "hardware_key").chmod(0o644)
    report = await doctor("-c", str(file), user=NOBODY)
    assert [one.what for one in report.faults] == ["store"]
    assert f"may not write to {folder}/store" in report.faults[0].meaning
    assert report.faults[0].fix.startswith(f"sudo chown nobody {folder}/store")


async def test_a_folder_that_this_user_may_not_even_enter(entry, config, doctor, folder, as_root):
    file = config(entry.url)
    text = file.read_text()
    (folder / "hardware_key").chmod(0o644)
    (folder / "store").chmod(0o700)
    file.write_text(text.replace("/store/", "/store/deeper/"))
    report = await doctor("-c", str(file), user=NOBODY)
    assert [one.what for one in report.faults] == ["store"]
    assert f"may not write to {folder}/store" in report.faults[0].meaning
    assert "could not be checked" not in str(report)


async def test_a_store_that_another_user_owns(entry, config, doctor, folder, as_root):
    file = config(entry.url)
    (folder / "hardware_key").chmod(0o644)
    (folder / "store").chmod(0o777)
    (folder / "store" / "gateway.sqlite3").touch(mode=0o600)
    report = await doctor("-c", str(file), user=NOBODY)
    assert "sudo -u root xyte-gateway doctor" in report.of("store").fix
    assert f"sudo chown nobody {folder}/store/gateway.sqlite3" in report.of("store").fix


async def test_root_is_told_that_its_rights_say_little(entry, config, doctor, folder, as_root):
    (folder / "store" / "gateway.sqlite3").touch(mode=0o600)
    os.chown(folder / "store" / "gateway.sqlite3", NOBODY, NOBODY)
    report = await doctor("-c", str(config(entry.url)))
    assert report.of("user").fix == "sudo -u nobody xyte-gateway doctor"


async def test_a_store_that_is_damaged(entry, config, doctor, folder):
    (folder / "store" / "gateway.sqlite3").write_bytes(b"this is no database" * 100)
    report = await doctor("-c", str(config(entry.url)))
    assert [one.what for one in report.faults] == ["store"]
    assert "start the gateway, which copies what can be read" in report.faults[0].fix
    assert report.of("store file").fix == f"chmod 600 {folder}/store/gateway.sqlite3"


async def test_a_store_from_another_machine_that_waits_for_a_person(entry, config, doctor, folder):
    """Seen: "no faults" while nothing went to the cloud."""
    async with Store(folder / "store" / "gateway.sqlite3") as store:
        hardware = HardwareMemory(store)
        await hardware.load()
        await hardware.look(Hardware(given="one"))
        await hardware.look(Hardware(given="two"))
    report = await doctor("-c", str(config(entry.url)))
    assert [one.what for one in report.faults] == ["identity"]
    assert "comes from another machine" in report.faults[0].meaning
    assert "xyte-gateway identity keep" in report.faults[0].fix
    assert "xyte-gateway identity new" in report.faults[0].fix
    async with Store(folder / "store" / "gateway.sqlite3") as store:
        hardware = HardwareMemory(store)
        await hardware.load()
        await hardware.decide(IdentityDecision.KEEP)
    assert (await doctor("-c", str(config(entry.url)))).faults == []


async def test_a_full_disk(entry, config, doctor, folder, own_mounts):
    report = await doctor("-c", str(config(entry.url)), before=f"mount -t tmpfs -o size=4m tmpfs {folder}/store")
    assert [one.what for one in report.faults] == ["disk"]
    assert "MB" in report.faults[0].meaning
    assert report.faults[0].fix.startswith("free space: `sudo du -xh")


async def test_a_disk_without_inodes(entry, config, doctor, folder, own_mounts):
    before = f"mount -t tmpfs -o size=4g,nr_inodes=5 tmpfs {folder}/store"
    report = await doctor("-c", str(config(entry.url)), before=before)
    assert "no file can be created" in report.of("disk").meaning
    assert "--inodes" in report.of("disk").fix


async def test_a_read_only_file_system(entry, config, doctor, folder, own_mounts):
    report = await doctor("-c", str(config(entry.url)), before=f"mount -t tmpfs -o ro tmpfs {folder}/store")
    assert [one.what for one in report.faults] == ["disk"]
    assert "read-only" in report.faults[0].meaning
    assert f"mount -o remount,rw {folder}/store" in report.faults[0].fix or "docker run -v" in report.faults[0].fix


async def test_a_port_of_the_page_that_somebody_else_has(entry, config, doctor):
    report = await doctor("-c", str(config(entry.url, f"[status]\nport = {entry.port}")))
    assert report.of("status page").state == "warning"
    assert f"sudo ss -ltnp 'sport = :{entry.port}'" in report.of("status page").fix
    report = await doctor("-c", str(config(entry.url, '[status]\nhost = "192.0.2.1"')))
    assert report.of("status page").fix == 'in [status]: host = "127.0.0.1"'
    report = await doctor("-c", str(config(entry.url, '[status]\nhost = "a..b"')))
    assert [one.what for one in report.faults] == ["config"]
    assert "status.host: 'a..b' is not" in report.faults[0].meaning


# one by one: ports ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("group", "mode", "fixes"), [
    (20, 0o660, ("sudo usermod -aG dialout nobody", "docker run --group-add 20")),
    (20, 0o600, ("sudo chgrp dialout {port}", "sudo chgrp dialout {port}")),
])  # fmt: skip
async def test_a_port_that_the_user_may_not_use(entry, config, doctor, folder, as_root, group, mode, fixes):
    (folder / "hardware_key").chmod(0o644)
    (folder / "store").chmod(0o777)
    with port_of_group(group, mode) as port:
        report = await doctor("-c", str(config(entry.url, serial(f'"{port}"'))), user=NOBODY)
        assert [one.what for one in report.faults] == [f"serial: port {port}"]
        assert "nobody" in report.faults[0].meaning
        assert any(report.faults[0].fix.startswith(fix.format(port=port)) for fix in fixes)
        with_modbus = f'[[adapter]]\ntype = "modbus"\nname = "cabinet"\nlines = [{{ port = "{port}" }}]'
        assert (await doctor("-c", str(config(entry.url, with_modbus)), user=NOBODY)).faults[0].what == f"cabinet: port {port}"


async def test_a_port_that_another_program_has(entry, config, doctor, folder):
    async with SerialLine(link=folder / "port") as line:
        number = os.open(line.port, os.O_RDWR | os.O_NOCTTY)
        try:
            report = await doctor("-c", str(config(entry.url, serial(f'"{line.port}"'))))
        finally:
            os.close(number)
    assert [one.what for one in report.faults] == [f"serial: port {line.port}"]
    assert f"kill {os.getpid()}" in report.faults[0].fix


async def test_a_pattern_that_means_nothing_now(entry, config, doctor, folder):
    report = await doctor("-c", str(config(entry.url, serial('"/dev/serial/by-id/usb-Nobody*"'))))
    assert [one.what for one in report.warnings] == ["serial: ports /dev/serial/by-id/usb-Nobody*"]
    assert "plug the adapter in" in report.warnings[0].fix


BY_ID = "/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A10K3X9Q-if00-port0"
PLUGGED_IN = f"""\
mount -t tmpfs tmpfs /mnt
mkdir /mnt/dev
for one in null zero full random urandom tty; do touch /mnt/dev/$one; mount --bind /dev/$one /mnt/dev/$one; done
mkdir /mnt/dev/pts /mnt/dev/shm
mount --rbind /dev/pts /mnt/dev/pts
mknod /mnt/dev/ttyUSB0 c 188 0
mount --rbind /mnt/dev /dev
mkdir -p {Path(BY_ID).parent}
ln -s ../../ttyUSB0 {BY_ID}
"""


@pytest.mark.parametrize(("kind", "entry_of"), [
    ("serial", serial('{ port = "/dev/ttyUSB0", name = "lobby" }')),
    ("serial", serial('"/dev/ttyUSB0"')),
    ("modbus", '[[adapter]]\ntype = "modbus"\nlines = [{ port = "/dev/ttyUSB0" }]\n'),
])  # fmt: skip
async def test_a_port_called_by_plugging_order(entry, config, doctor, own_mounts, kind, entry_of):
    report = await doctor("-c", str(config(entry.url, entry_of)), before=PLUGGED_IN)
    assert report.code == 0
    keeps = (
        ""
        if "lobby" in entry_of
        else '; with name = "/dev/ttyUSB0" beside it, devices without their own identity stay the same children'
    )
    assert [(one.what, one.fix) for one in report.warnings] == [
        (f"{kind}: name of /dev/ttyUSB0", f'port = "{BY_ID}" # instead of "/dev/ttyUSB0"{keeps}')
    ]
    assert report.of(f"{kind}: port /dev/ttyUSB0").state == "fine"


async def test_a_port_that_is_not_there_while_another_is(entry, config, doctor, own_mounts):
    report = await doctor("-c", str(config(entry.url, serial('"/dev/ttyUSB7"'))), before=PLUGGED_IN)
    assert report.faults[0].fix == f'plug in its adapter, or name a port that exists: port = "{BY_ID}"'


# one by one: Bluetooth -----------------------------------------------------------------------------------------------


async def test_no_d_bus_socket(entry, config, doctor, folder):
    report = await doctor("-c", str(config(entry.url, BLE)), DBUS_SYSTEM_BUS_ADDRESS=f"unix:path={folder}/no-socket")
    assert [one.what for one in report.faults] == ["ble: D-Bus"]
    assert f"{folder}/no-socket" in report.faults[0].meaning
    assert "-v /run/dbus/system_bus_socket:/run/dbus/system_bus_socket" in report.faults[0].fix


async def test_a_folder_that_docker_made_in_place_of_the_socket(entry, config, doctor, folder):
    report = await doctor("-c", str(config(entry.url, BLE)), DBUS_SYSTEM_BUS_ADDRESS=f"unix:path={folder}")
    assert "is a folder" in report.of("ble: D-Bus").meaning
    assert "create the container again" in report.of("ble: D-Bus").fix


async def test_a_socket_that_this_user_may_not_open(entry, config, doctor, folder, as_root):
    (folder / "hardware_key").chmod(0o644)
    (folder / "store").chmod(0o777)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket"))
        listening.listen()
        (folder / "socket").chmod(0o600)
        environment = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={folder}/socket"}
        report = await doctor("-c", str(config(entry.url, BLE)), user=NOBODY, **environment)
    assert report.of("ble: D-Bus").fix == f"run the gateway as a user that may open {folder}/socket"


async def test_no_bluetoothd(entry, config, doctor):
    dbus_daemon_or_skip()
    async with PrivateBus() as bus:
        report = await doctor("-c", str(config(entry.url, BLE)), DBUS_SYSTEM_BUS_ADDRESS=bus.address)
    assert [(one.what, one.fix) for one in report.faults] == [("ble: bluetoothd", "start it with: systemctl start bluetooth")]


async def test_a_policy_that_keeps_this_user_from_bluetoothd(entry, config, doctor):
    dbus_daemon_or_skip()
    controller = Controller(RadioEnvironment())
    async with PrivateBus(policy='<deny send_destination="org.bluez"/>') as bus, EmulatedBlueZ(bus.address, [controller]):
        report = await doctor("-c", str(config(entry.url, BLE)), DBUS_SYSTEM_BUS_ADDRESS=bus.address)
    assert [one.what for one in report.faults] == ["ble: bluetoothd"]
    assert "usermod -aG bluetooth " in report.faults[0].fix
    assert "USER" not in report.faults[0].fix


@pytest.mark.parametrize(("how", "more", "what", "fix"), [
    ({"is_powered": False}, "", "hci0", "switch it on with: bluetoothctl power on"),
    ({"has_passive_scanning": False}, 'scanning = "passive"', "hci0", 'scanning = "active"'),
    ({}, 'controllers = ["hci1"]', "hci1", 'controllers = ["hci0"]'),
])  # fmt: skip
async def test_a_controller_that_cannot_be_used(entry, config, doctor, how, more, what, fix):
    async with bluetooth(**how) as environment:
        report = await doctor("-c", str(config(entry.url, BLE + more)), **environment)
    assert [one.what for one in report.faults] == [f"ble: {what}"]
    assert report.faults[0].fix.endswith(fix)


# one by one: the cloud -----------------------------------------------------------------------------------------------


async def test_a_name_that_cannot_be_resolved(authority, config, doctor):
    report = await doctor("-c", str(config("https://entry.no-such-cloud.invalid")))
    assert [one.what for one in report.faults] == ["entry name"]
    assert "entry.no-such-cloud.invalid" in report.faults[0].meaning
    assert "name server" in report.faults[0].fix
    assert report.of("clock").state == "not looked at"


async def test_a_name_server_that_does_not_answer(authority, config, doctor, folder, own_mounts):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.98", 53))
        (folder / "resolv.conf").write_text("nameserver 127.0.0.98\n")
        before = f"mount --bind {folder}/resolv.conf /etc/resolv.conf"
        began = asyncio.get_running_loop().time()
        report = await doctor("-c", str(config("https://entry.acme.example")), before=before)
        assert asyncio.get_running_loop().time() - began < 60, "under ten seconds, and the start of a program on a busy machine"
    assert [one.what for one in report.faults] == ["entry name"]
    assert "the name server 127.0.0.98 does not answer within 1.5 s" in report.faults[0].meaning
    assert report.faults[0].fix.startswith("use a name server that answers")


async def test_an_authority_that_this_machine_does_not_know_is_named(cloud, authority, config, doctor):
    proxy = trustme.CA(organization_name="Proxy Maker")
    async with cloud(proxy.issue_cert("localhost")) as entry:
        report = await doctor("-c", str(config(entry.url)))
    assert [one.what for one in report.faults] == ["entry TLS"]
    assert "Proxy Maker" in report.faults[0].meaning
    assert report.faults[0].fix.startswith('in [cloud]: ca_file = "')
    assert report.of("clock").state == "fine", "a server that is not trusted still has a clock"


@pytest.mark.parametrize(("days", "meaning"), [((-400, -35), "has expired on"), ((35, 400), "is not valid before")])
async def test_a_certificate_out_of_its_time(cloud, authority, config, doctor, days, meaning):
    begin, end = (datetime.now(UTC) + timedelta(days=many) for many in days)
    async with cloud(authority.issue_cert("localhost", not_before=begin, not_after=end)) as entry:
        report = await doctor("-c", str(config(entry.url)))
    assert [one.what for one in report.faults] == ["entry TLS"]
    assert meaning in report.faults[0].meaning
    assert "sudo timedatectl set-ntp true" in report.faults[0].fix


async def test_a_certificate_for_another_host(cloud, authority, config, doctor):
    async with cloud(authority.issue_cert("entry.acme.example")) as entry:
        report = await doctor("-c", str(config(entry.url)))
    assert [one.what for one in report.faults] == ["entry TLS"]
    assert "entry.acme.example" in report.faults[0].meaning
    assert report.faults[0].fix == 'correct the host in [cloud]: entry_url = "https://entry.acme.example"'


async def test_a_clock_that_is_wrong(cloud, authority, config, doctor):
    ahead = datetime.now(UTC) + timedelta(hours=5)
    async with cloud(authority.issue_cert("localhost"), clock=ahead) as entry:
        report = await doctor("-c", str(config(entry.url)))
    assert [one.what for one in report.faults] == ["clock"]
    assert "5 h behind localhost" in report.faults[0].meaning
    assert report.faults[0].fix.startswith("sudo timedatectl set-ntp true")


async def test_a_port_where_nobody_listens(authority, config, doctor):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    report = await doctor("-c", str(config(f"https://localhost:{port}")))
    assert [one.what for one in report.faults] == ["entry"]
    assert f'entry_url = "https://localhost:{port}"' in report.faults[0].fix


def server(*, says=b"", heard_for=None):
    """A server that says this whatever it is asked, and listens until the other side has enough: `heard_for` gets the seconds."""

    async def serve(reader, writer):
        began = asyncio.get_running_loop().time()
        writer.write(says)
        with contextlib.suppress(OSError):
            await reader.read()
        if heard_for is not None:
            heard_for.append(asyncio.get_running_loop().time() - began)
        writer.close()

    return asyncio.start_server(serve, "127.0.0.1", 0)


async def test_a_server_that_speaks_no_tls(authority, config, doctor):
    async with await server(says=b"HTTP/1.1 400 Bad Request\r\n\r\n") as plain:
        report = await doctor("-c", str(config(f"https://localhost:{plain.sockets[0].getsockname()[1]}")))
    assert [one.what for one in report.faults] == ["entry TLS"]
    assert "without a proxy" in report.faults[0].fix


async def test_a_portal_that_wants_somebody_to_sign_in(cloud, config, doctor):
    async with cloud(status="302 Found", headers=("Location: http://portal.hotel.example/login",), body=b"") as portal:
        report = await doctor("-c", str(config(portal.url)))
    assert [one.what for one in report.faults] == ["entry"]
    assert "http://portal.hotel.example/login" in report.faults[0].meaning
    assert report.faults[0].fix.startswith("sign this machine in")


async def test_a_server_that_says_nothing_costs_no_more_than_ten_seconds(authority, config, doctor):
    heard_for = []
    async with await server(heard_for=heard_for) as silent:
        report = await doctor("-c", str(config(f"https://localhost:{silent.sockets[0].getsockname()[1]}")))
    assert heard_for
    assert sum(heard_for) < 15, "ten seconds without the start of the program, and what a busy machine adds"
    assert [one.what for one in report.faults] == ["entry"]
    assert "sends nothing" in report.faults[0].meaning


# what stays as it is -------------------------------------------------------------------------------------------------


async def register(folder, hub_url):
    """Put a registered gateway into the store, and leave it open as a gateway does that runs."""
    store = await Store(folder / "store" / "gateway.sqlite3", exclusive=True).__aenter__()
    credentials = Credentials(device_id="d-1", access_key=SecretStr("k-very-secret"), hub_url=hub_url)
    registry = Registry(store)
    await registry.save_gateway(GatewayRecord(serial_number="S", mac=None, cloud_id=None, credentials=credentials))
    return store


async def test_the_hub_is_looked_at_while_the_gateway_runs_and_no_key_is_sent(cloud, entry, config, doctor, folder):
    async with cloud() as hub:
        store = await register(folder, hub.url)
        file = config(entry.url)
        file.write_text(file.read_text().replace("[store]", "allow_plain_http = true\n[store]"))
        before = sorted(path.name for path in (folder / "store").iterdir())
        report = await doctor("-c", str(file))
        assert sorted(path.name for path in (folder / "store").iterdir()) == before
        await store.__aexit__()
        assert "registered as d-1" in report.of("store").meaning
        assert report.of("hub").state == "fine"
        assert len(hub.asked) == 1
        assert "very-secret" not in "".join(hub.asked) + "".join(one.meaning + (one.fix or "") for one in report.all)
        before = sorted(path.name for path in (folder / "store").iterdir())
        assert (await doctor("-c", str(file))).of("hub").state == "fine"
        assert sorted(path.name for path in (folder / "store").iterdir()) == before, "a reader leaves no files behind"


async def test_a_hub_that_nobody_named_gets_no_key(entry, config, doctor, folder):
    store = await register(folder, "https://hub.evil.example")
    file = config(entry.url)
    file.write_text(file.read_text().replace("[store]", 'hub_hosts = ["hub.acme.example"]\n[store]'))
    report = await doctor("-c", str(file))
    await store.__aexit__()
    assert [(one.what, one.fix) for one in report.faults] == [("hub", 'in [cloud]: hub_hosts = ["hub.evil.example"]')]


async def test_a_person_reads_sign_word_meaning_and_fix(entry, config, doctor, folder):
    file = config(entry.url, serial('"/dev/ttyUSB99"'))
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("xyte-gateway"), "doctor", "-c", str(file),
        stdout=asyncio.subprocess.PIPE, env={**os.environ, "NO_COLOR": "1", "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    out, _ = await process.communicate()
    lines = out.decode("ascii").splitlines()
    at = lines.index("x fault         serial: port /dev/ttyUSB99: there is no such port")
    assert lines[at + 1].startswith("                fix: plug in its adapter")
    assert any(line.startswith("+ fine          store: ") for line in lines)
    assert lines[-1].startswith("1 fault, no warnings, ")
    assert process.returncode == 1
