"""A machine whose serial ports a test plugs in and pulls out."""

import pytest

from adapters.serial.port.hotplug import MachinePorts, PortWatcher
from adapters.serial.port.selection import ListedPort, PortSelector


@pytest.fixture
def machine(tmp_path):
    """A machine with device files in a folder of the test, which lists those named ttyUSB."""

    class Fake:
        devices, by_id = tmp_path / "dev", tmp_path / "dev" / "serial" / "by-id"
        looks = 0

        def listed(self):
            Fake.looks += 1
            return [
                ListedPort(path=str(path), vid=0x0403, pid=0x6001, serial_number=path.read_text(), location="1-1")
                for path in sorted(self.devices.glob("ttyUSB*"))
            ]

        def plug(self, name, number):
            (self.devices / name).write_text(number)
            (self.by_id / f"usb-FTDI_{number}-if00-port0").symlink_to(self.devices / name)

        def pull(self, name):
            for link in self.by_id.iterdir():
                if link.readlink() == self.devices / name:
                    link.unlink()
            (self.devices / name).unlink()

        def watcher(self, *written, excluded=()):
            wanted, excluded_selectors = [[PortSelector.parse(one) for one in part] for part in (written, excluded)]
            machine = MachinePorts([*wanted, *excluded_selectors], list_ports=self.listed, devices=self.devices, by_id=self.by_id)
            return PortWatcher(wanted, excluded_selectors, machine=machine)

    Fake.by_id.mkdir(parents=True)
    return Fake()
