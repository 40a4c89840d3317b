"""The ports that an entry serves: where they are now, and when they are back."""

import asyncio

from adapters.serial.served_ports import ServedPort
from adapters.serial.settings import PortRule

GENEROUS_SECONDS = 20.0


async def test_a_port_reappears_under_its_new_name(machine):
    machine.plug("ttyUSB0", "A1")
    watcher = machine.watcher("*")
    (port,) = await watcher.ports()
    served = ServedPort("a port", PortRule(port="*"), watcher, port.identity)
    machine.pull("ttyUSB0")
    assert await watcher.find(port.identity) is None
    waiting = asyncio.create_task(served.reappears(port.address))
    await asyncio.sleep(0.8)  # more than two scans
    assert not waiting.done()
    machine.plug("ttyUSB5", "A1")
    async with asyncio.timeout(GENEROUS_SECONDS):
        await waiting
    there = await served.find()
    assert there is not None
    assert there.address == str(machine.devices / "ttyUSB5")
