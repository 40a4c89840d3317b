"""Devices around a container, in a process that runs on the engine's network: on Modbus TCP, a serial line and Bluetooth.

Prints where they are as one JSON object, and ends when its standard input does.
"""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from gateway.testing.bluetooth import RadioEnvironment
from gateway.testing.bluetooth.bluez import EmulatedBlueZ
from gateway.testing.bluetooth.controller import Controller
from gateway.testing.bluetooth.demo_devices import shelly_blu_ht
from gateway.testing.demo_devices import eastron_sdm630, schneider_iem3255
from gateway.testing.modbus import ModbusTcpHost, VirtualLine, on_a_pty

DIALOUT = 20
SYSTEM_BUS = """\
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
    <allow send_destination="org.bluez"/>
  </policy>
  <policy user="root">
    <allow own="org.bluez"/>
    <allow send_destination="*"/>
  </policy>
</busconfig>
"""
"""What Debian's system bus and BlueZ let whom do."""


KNOWS_THE_USER = 'mount --bind "$0" /etc/passwd && exec dbus-daemon --config-file="$1" --nofork --print-address'
"""As the Bluetooth overlay demands of the machine; a bus turns a stranger away."""


def main(host: str, folder: Path) -> None:
    socket, configuration, users = folder / "system_bus_socket", folder / "bus.conf", folder / "passwd"
    configuration.write_text(SYSTEM_BUS.format(socket=socket))
    users.write_text(Path("/etc/passwd").read_text() + "xyte-gateway:x:10001:10001::/nonexistent:/usr/sbin/nologin\n")
    command = ["unshare", "--mount", "sh", "-euc", KNOWS_THE_USER, str(users), str(configuration)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as daemon:
        daemon.stdout.readline()  # its address, once it listens
        try:
            asyncio.run(serve(host, f"unix:path={socket}", {"bus": str(socket)}))
        finally:
            daemon.terminate()


async def serve(host: str, bus: str, told: dict[str, object]) -> None:
    line = VirtualLine([eastron_sdm630(1)], baudrate=9600, parity="N")
    radio = Controller(RadioEnvironment([shelly_blu_ht().peripheral]))
    meter = ModbusTcpHost([schneider_iem3255(1)], host=host)
    async with meter, on_a_pty(line) as port, EmulatedBlueZ(bus, [radio]):
        os.chown(port, 0, DIALOUT)
        os.chmod(port, 0o660)  # noqa: PTH101 - a path of a moment
        sys.stdout.write(json.dumps({**told, "modbus": meter.port, "line": port}) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


main(sys.argv[1], Path(sys.argv[2]))
