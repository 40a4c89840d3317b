"""A Bluetooth controller that the kernel uses like a dongle, the devices that it receives, and bluetoothd.

The controller is bumble's, at /dev/vhci. What a device sends arrives as a real controller would report it; connections run
through bumble's link layer to a bumble device with real L2CAP, ATT and SMP.
"""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path
from threading import Thread

from bumble import controller, hci, host, link
from bumble.device import Device
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.transport.vhci import open_vhci_transport
from dbus_fast import BusType, Message, Variant
from dbus_fast.aio import MessageBus

FLAGS = (0x01, b"\x06")
ADVERTISEMENT = hci.HCI_LE_Advertising_Report_Event.EventType.ADV_NONCONN_IND
"""Reported by the kernel at once; it would hold back one that asks for a scan response."""

NEWER_FEATURES = hci.LeFeatureMask.LL_PRIVACY | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
"""With one of these the kernel waits for an event about a new connection that bumble's controller does not send."""

START_SECONDS = 120.0


def manufacturer(company, content):
    """Return the advertised field with the data of a company."""
    return 0xFF, company.to_bytes(2, "little") + content


def encoded(*fields):
    """Return advertised fields, each a type and its content, as the bytes of an advertisement."""
    return b"".join(bytes([len(content) + 1, kind]) + content for kind, content in fields)


class _Link(link.LocalLink):
    def send_acl_data(self, sender_controller, destination_address, transport, data):
        """Send from the address of the connection: bumble would take the random one, and BlueZ connects from the public one."""
        receiver = self.find_le_controller(destination_address)
        connection = sender_controller.le_connections.get(destination_address)
        if receiver is not None and connection is not None:
            loop = asyncio.get_running_loop()
            loop.call_soon(receiver.on_link_acl_data, connection.self_address, transport, data)


class VirtualRadio:
    """A controller and what it receives, on an event loop in a thread of its own: the kernel waits for it at any time."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._link = _Link()
        self._transport = None
        self._controller = None
        self._senders = set()

    async def plug_in(self):
        """Let the kernel find the controller."""
        await self._run(self._plug_in())

    async def _plug_in(self):
        self._transport = await open_vhci_transport(None)
        self._controller = controller.Controller(
            "dongle",
            host_source=self._transport.source,
            host_sink=self._transport.sink,
            link=self._link,
            public_address="F0:F1:F2:F3:F4:F5",
        )
        self._controller.le_features &= ~NEWER_FEATURES

    async def unplug(self):
        """Remove the controller from the machine."""
        await self._run(self._unplug())

    async def _unplug(self):
        self._link.remove_controller(self._controller)
        transport, self._transport, self._controller = self._transport, None, None
        await transport.close()

    def advertise(self, address, *variants, every=0.5):
        """Send these variants of an advertisement, each a list of fields, in turn until the returned future is cancelled."""
        sending = asyncio.run_coroutine_threadsafe(self._advertise(address, variants, every), self._loop)
        self._senders.add(sending)
        return sending

    async def _advertise(self, address, variants, every):
        while True:
            for fields in variants:
                self._receive(address, fields)
                await asyncio.sleep(every)

    def _receive(self, address, fields):
        """Report one advertisement, if the controller scans."""
        if self._controller is None or not self._controller.le_scan_enable:
            return
        sender = hci.Address(address, hci.Address.PUBLIC_DEVICE_ADDRESS)
        report = hci.HCI_LE_Advertising_Report_Event.Report(
            event_type=ADVERTISEMENT, address_type=sender.address_type, address=sender, data=encoded(*fields), rssi=-50
        )
        self._controller.send_hci_packet(hci.HCI_LE_Advertising_Report_Event([report]))

    async def add_device(self, address, name, services, *, passkey=None):
        """Switch on a connectable device; with a passkey, it shows that when it is paired."""
        await self._run(self._add_device(address, name, services, passkey))

    async def _add_device(self, address, name, services, passkey):
        sender = hci.Address(address, hci.Address.RANDOM_DEVICE_ADDRESS)
        device = Device(name=name, address=sender, host=host.Host())
        device.host.controller = controller.Controller(name, link=self._link, public_address=address)
        device.pairing_config_factory = lambda connection: PairingConfig(
            sc=True, mitm=passkey is not None, bonding=True, delegate=_Delegate(passkey)
        )
        for service in services:
            device.add_service(service)
        await device.power_on()
        uuids = b"".join(service.uuid.to_bytes() for service in services)
        await device.start_advertising(advertising_data=encoded(FLAGS, (0x03, uuids), (0x09, name.encode())), auto_restart=True)

    async def close(self):
        """Stop all senders and remove the controller."""
        for sender in self._senders:
            sender.cancel()
        if self._transport is not None:
            await self.unplug()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _run(self, coroutine):
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))


class _Delegate(PairingDelegate):
    """Accepts whoever asks, and shows a fixed passkey."""

    def __init__(self, passkey):
        capability = PairingDelegate.IoCapability
        super().__init__(capability.NO_OUTPUT_NO_INPUT if passkey is None else capability.DISPLAY_OUTPUT_ONLY)
        self._passkey = passkey

    async def generate_passkey(self):
        return self._passkey


class Bluetoothd:
    """Debian's bluetoothd on a message bus, with the experimental interfaces that passive scans need."""

    def __init__(self, bus_address, log):
        self._bus_address = bus_address
        self._log = log
        self._process = None

    @property
    def is_running(self):
        """Whether the daemon was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self):
        """Start the daemon."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [os.environ["BLUETOOTHD"], "--nodetach", "--debug", "--experimental"],
                env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self._bus_address},
                stdout=log,
                stderr=log,
            )

    async def power_on(self):
        """Switch the controller on, as soon as the daemon knows it."""
        bus = await MessageBus(bus_address=self._bus_address, bus_type=BusType.SYSTEM).connect()
        switch_on = Message(
            destination="org.bluez",
            path="/org/bluez/hci0",
            interface="org.freedesktop.DBus.Properties",
            member="Set",
            signature="ssv",
            body=["org.bluez.Adapter1", "Powered", Variant("b", True)],
        )
        async with asyncio.timeout(START_SECONDS):
            while (await bus.call(switch_on)).error_name is not None:  # noqa: ASYNC110 - bluetoothd says no word when it is ready
                await asyncio.sleep(0.2)
        bus.disconnect()

    def stop(self):
        """End the daemon in order, as a service manager does."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


def forget_devices():
    """Remove what earlier runs of bluetoothd stored about devices."""
    for stored in Path("/var/lib/bluetooth").glob("*"):
        shutil.rmtree(stored)
